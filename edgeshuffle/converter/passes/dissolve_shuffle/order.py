"""The order in which every made value keeps its channels, and every reader takes them.

A dense convolution's rows are free: they are sorted by signature, the set of gathering readers
that a channel reaches (directly or through channel-wise operators), earliest first. Everything
else follows: a reader that does not care takes its channels value by value in stored order, and a
channel-wise operator stores them as it took them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx_ir as ir

    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading, Trace

_CHANNELWISE: Final = frozenset({"Relu", "MaxPool", "AveragePool", "GlobalAveragePool"})


class Role(Enum):
    """How a reader treats the order of its channels."""

    FREE = "any order, the weight columns follow"
    CHANNELWISE = "any order, the output has the same"
    FIXED = "as given"


@dataclass(frozen=True)
class Arranged:
    """`stored[v][p]`: the original channel at place p of made value v. `taken[r][p]`: likewise
    for reading r, in the original channels of its input.
    """

    trace: Trace
    stored: list[np.ndarray]
    taken: list[np.ndarray]
    roles: list[Role]


def role_of(reading: Reading) -> Role:
    """What the order of a reading's channels means to its reader."""
    node = reading.node
    if node is None or reading.slot != 0:
        return Role.FIXED
    if node.op_type == "Conv":
        if g.is_depthwise(node):
            return Role.CHANNELWISE
        known = all(g.constant(value) is not None for value in node.inputs[1:] if value is not None)
        dense = g.integer(node, "group", 1) == 1 and known
        return Role.FREE if dense else Role.FIXED
    if node.op_type == "Clip":
        limits = [g.constant(value) for value in node.inputs[1:]]
        scalar = all(limit is not None and limit.size == 1 for limit in limits)
        return Role.CHANNELWISE if scalar else Role.FIXED
    single = node.op_type in _CHANNELWISE and len(node.outputs) == 1
    return Role.CHANNELWISE if single else Role.FIXED


def arrange(graph: ir.Graph, trace: Trace) -> Arranged:
    """Choose every order. Values in `trace.fixed`, and what computes them, keep theirs."""
    number = {value: i for i, value in enumerate(trace.values)}
    roles = [role_of(reading) for reading in trace.readings]
    for i in reversed(range(len(roles))):
        if roles[i] is Role.CHANNELWISE and _made_by(trace.readings[i], number) in trace.fixed:
            roles[i] = Role.FIXED
    signatures = _signatures(graph, trace, roles, number)

    reading_of = {(r.node, r.slot): i for i, r in enumerate(trace.readings)}
    stored: list[np.ndarray] = []
    taken: dict[int, np.ndarray] = {}
    places: list[np.ndarray] = []
    for v, value in enumerate(trace.values):
        node = value.producer()
        maker = reading_of.get((node, 0)) if node is not None else None
        if maker is not None:
            taken[maker] = _take(trace.readings[maker], roles[maker], places)
        count = g.shape_of(value)[1] if len(g.shape_of(value)) > 1 else 1
        order = np.arange(count)
        if maker is not None and roles[maker] is Role.CHANNELWISE:
            order = taken[maker]
        elif maker is not None and roles[maker] is Role.FREE and v not in trace.fixed:
            keys = [sorted(signature) for signature in signatures[v]]
            order = np.array(sorted(range(count), key=lambda c: (keys[c], c)))
        stored.append(order)
        places.append(np.argsort(order))
    for i, reading in enumerate(trace.readings):
        if i not in taken:
            taken[i] = _take(reading, roles[i], places)
    return Arranged(trace, stored, [taken[i] for i in range(len(trace.readings))], roles)


def _made_by(reading: Reading, number: dict[ir.Value, int]) -> int:
    assert reading.node is not None
    return number[reading.node.outputs[0]]


def _take(reading: Reading, role: Role, places: list[np.ndarray]) -> np.ndarray:
    if role is Role.FIXED:
        return np.arange(len(reading))
    place = [places[v][c] for v, c in zip(reading.made, reading.index, strict=True)]
    return np.lexsort((np.arange(len(reading)), place, reading.made))


def _signatures(
    graph: ir.Graph, trace: Trace, roles: list[Role], number: dict[ir.Value, int]
) -> list[list[set[int]]]:
    """For every channel of every made value, the positions of the gathering readers it reaches."""
    position: dict[ir.Node | None, int] = {node: i for i, node in enumerate(graph)}
    position[None] = len(position)
    result: list[list[set[int]]] = [
        [set() for _ in range(g.shape_of(value)[1] if len(g.shape_of(value)) > 1 else 1)]
        for value in trace.values
    ]
    order = sorted(range(len(roles)), key=lambda i: position[trace.readings[i].node], reverse=True)
    for i in order:
        reading = trace.readings[i]
        through: Iterable[set[int]] = [set()] * len(reading)
        own = {position[reading.node]}
        if roles[i] is Role.CHANNELWISE:
            made = _made_by(reading, number)
            through = result[made]
            if _is_whole(reading, trace):
                own = set()
        for v, c, reached in zip(reading.made, reading.index, through, strict=True):
            result[v][c] |= own | reached
    return result


def _is_whole(reading: Reading, trace: Trace) -> bool:
    """Whether the reading is all channels of one made value, in whatever order."""
    first = reading.made[0]
    count = g.shape_of(trace.values[first])[1]
    return bool(
        (reading.made == first).all()
        and len(reading) == count
        and len(np.unique(reading.index)) == count
    )
