"""Compute each head of a model by a convolution of its own.

Detectors compute scores and boxes by one convolution and split its output. In INT8 it has one
scale, chosen for the head with the larger values. The rows of a convolution are independent, so

    split(W x + b) = (W_1 x + b_1, W_2 x + b_2, ...)

and each part has its own scale. Parts that another convolution reads, or that are put beside
others, stay together: there a scale of one's own is a requantization.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.operators.slice import cuts
from edgeshuffle.converter.passes.outcome import Outcome

_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})


class _Part(NamedTuple):
    """Channels start..stop of a convolution's output, and the value that has them."""

    start: int
    stop: int
    value: ir.Value


def run(model: ir.Model) -> Outcome:
    """Rewrite every convolution that is split into heads."""
    count = 0
    for node in list(model.graph):
        parts = _heads(node)
        if parts:
            _part(model.graph, node, parts)
            count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """No convolution is split into heads."""
    for node in model.graph:
        if _heads(node):
            return f"{where(node)} is split into heads"
    return None


def _heads(node: ir.Node) -> list[_Part]:
    """The parts of a dense Conv's output, if all of them are heads; else none."""
    known = node.op_type == "Conv" and all(
        g.constant(value) is not None for value in node.inputs[1:] if value is not None
    )
    if not known or g.integer(node, "group", 1) != 1 or node.outputs[0].is_graph_output():
        return []
    parts: list[_Part] = []
    for reader in node.outputs[0].consumers():
        found = _parts(reader)
        if not found:
            return []
        parts += found
    parts.sort(key=lambda part: part.start)
    apart = all(one.stop <= other.start for one, other in pairwise(parts))
    return parts if len(parts) > 1 and apart and all(_is_head(p.value) for p in parts) else []


def _parts(node: ir.Node) -> list[_Part]:
    """What a Split or Slice takes of the channels, if nothing else."""
    source = node.inputs[0]
    if source is None or len(g.shape_of(source)) != 4:
        return []
    count = g.shape_of(source)[1]
    if node.op_type == "Split" and g.integer(node, "axis", 0) in (1, -3):
        parts, start = [], 0
        for value in node.outputs:
            parts.append(_Part(start, start + g.shape_of(value)[1], value))
            start = parts[-1].stop
        return parts
    if node.op_type != "Slice" or any(g.constant(v) is None for v in node.inputs[1:] if v):
        return []
    given = cuts(node, g.shape_of(source))
    start, stop, step = given[1].indices(count)
    whole = (g.shape_of(source)[0], stop - start, *g.shape_of(source)[2:])
    if step != 1 or g.shape_of(node.outputs[0]) != whole:
        return []
    return [_Part(start, stop, node.outputs[0])]


def _is_head(value: ir.Value) -> bool:
    """Whether no convolution reads what a value becomes, and no Concat the value itself."""
    if any(node.op_type == "Concat" for node in value.consumers()):
        return False
    waiting, seen = list(value.consumers()), set()
    while waiting:
        node = waiting.pop()
        if node.op_type in _LAYERS:
            return False
        if node not in seen:
            seen.add(node)
            waiting += [reader for output in node.outputs for reader in output.consumers()]
    return True


def _part(graph: ir.Graph, node: ir.Node, parts: list[_Part]) -> None:
    source, name = node.inputs[0], node.outputs[0].name or ""
    arrays = [g.constant(value) for value in node.inputs[1:3]]
    for part in parts:
        rows = [
            g.new_constant(graph, f"{name}_{kind}_{part.start}", array[part.start : part.stop])
            for kind, array in zip(("weight", "bias"), arrays, strict=False)
            if array is not None
        ]
        made = g.new_value(f"{name}_{part.start}", g.shape_of(part.value), graph)
        head = ir.Node(
            "",
            "Conv",
            [source, *rows],
            node.attributes.values(),
            outputs=[made],
            name=f"{node.name or name}_{part.start}",
        )
        graph.insert_before(node, [head])
        ir.convenience.replace_all_uses_with(part.value, made, replace_graph_outputs=True)
