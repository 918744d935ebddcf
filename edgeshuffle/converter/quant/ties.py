"""Groups of values that share one scale, so that no requantization is ever needed.

Operators that only move, compare or clamp elements compute the same on integers as on reals if
their inputs and outputs have the same parameters; so they are tied. The units of a ShuffleNet stage
are all tied to each other by the channels that pass them by. A recipe can spend a requantization
there, so that each unit's concatenation has a scale of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, operator_of
from edgeshuffle.converter.operators.fused import fused, is_fused, results

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.plan import QParams


@dataclass(frozen=True)
class Group:
    """Values with one scale: all of them, and those that bring new numbers (are not moved).

    `given` are its parameters where an operator's specification fixes them.
    """

    members: tuple[ir.Value, ...]
    sources: tuple[ir.Value, ...]
    given: QParams | None = None


def tie(graph: ir.Graph, *, requantize: bool = False) -> tuple[Group, ...]:
    """Every quantized value of the graph in its group, in topological order of the first.

    With `requantize`, what a split or a slice passes on to a concatenation is not tied to it. It
    stays in the group that it comes from, and is a source of the concatenation's, too. So does what
    has given parameters, where it meets others.
    """
    parent: dict[ir.Value, ir.Value] = {}
    sources: list[ir.Value] = []
    passed: list[tuple[ir.Value, ir.Value]] = []
    given: dict[ir.Value, QParams] = {}

    def root(value: ir.Value) -> ir.Value:
        while parent[value] is not value:
            value = parent[value]
        return value

    def add(value: ir.Value) -> None:
        parent[value] = value
        sources.append(value)

    for value in graph.inputs:
        add(value)
    for node in graph:
        if is_fused(node):
            continue
        if operator_of(node).scale is not Scale.TIED:
            for value in results(node):
                if g.is_float(value):
                    add(value)
            if operator_of(node).scale is Scale.GIVEN:
                given[fused(node).output] = operator_of(node).grid(node)
            continue
        read = [value for _, value in g.data_inputs(node)]
        alike = len({given.get(root(value)) for value in read}) == 1
        passing = [
            value
            for value in read
            if (requantize and _passes_by(value, node)) or (not alike and root(value) in given)
        ]
        if len(passing) < len(read) or not alike:
            passed.extend((value, node.outputs[0]) for value in passing)
            read = [value for value in read if value not in passing]
        tied = read + list(node.outputs)
        for value in tied:
            parent.setdefault(value, value)
        for value in tied[1:]:
            parent[root(value)] = root(tied[0])

    members: dict[ir.Value, list[ir.Value]] = {}
    for value in parent:
        members.setdefault(root(value), []).append(value)
    return tuple(
        Group(
            tuple(group),
            (
                *(value for value in sources if root(value) is top),
                *(value for value, result in passed if root(result) is top),
            ),
            given.get(top),
        )
        for top, group in members.items()
    )


def _passes_by(value: ir.Value, node: ir.Node) -> bool:
    made = value.producer()
    return node.op_type == "Concat" and made is not None and made.op_type in ("Split", "Slice")
