"""The order in which every made value keeps its channels, and every reader takes them.

A dense convolution's rows are free: they are sorted by signature, the set of gathering readers
that a channel reaches (directly or through channel-wise operators), earliest first. Everything
else follows: a reader that does not care takes its channels value by value in stored order, and a
channel-wise operator stores them as it took them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels, operator_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx_ir as ir

    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading, Trace


@dataclass(frozen=True)
class Arranged:
    """`stored[v][p]`: the original channel at place p of made value v. `taken[r][p]`: likewise
    for reading r, in the original channels of its input.
    """

    trace: Trace
    stored: list[np.ndarray]
    taken: list[np.ndarray]
    roles: list[Channels]


def role_of(reading: Reading) -> Channels:
    """What the order of a reading's channels means to its reader."""
    if reading.node is None or reading.slot != 0:
        return Channels.FIXED
    role = operator_of(reading.node).role(reading.node)
    constants = [g.constant(value) for value in reading.node.inputs]
    spread = any(array is not None and array.size > 1 for array in constants)
    # What several values share, and constants that go by channels, stay in the given order.
    if role is Channels.JOINT or (reading.node.op_type != "Conv" and spread):
        return Channels.FIXED
    return role


def arrange(graph: ir.Graph, trace: Trace) -> Arranged:
    """Choose every order. Values in `trace.fixed`, and what computes them, keep theirs."""
    number = {value: i for i, value in enumerate(trace.values)}
    roles = [role_of(reading) for reading in trace.readings]
    for i in reversed(range(len(roles))):
        if roles[i] is Channels.CHANNELWISE and _made_by(trace.readings[i], number) in trace.fixed:
            roles[i] = Channels.FIXED
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
        if maker is not None and roles[maker] is Channels.CHANNELWISE:
            order = taken[maker]
        elif maker is not None and roles[maker] is Channels.FREE and v not in trace.fixed:
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


def _take(reading: Reading, role: Channels, places: list[np.ndarray]) -> np.ndarray:
    if role is Channels.FIXED:
        return np.arange(len(reading))
    place = [places[v][c] for v, c in zip(reading.made, reading.index, strict=True)]
    return np.lexsort((np.arange(len(reading)), place, reading.made))


def _signatures(
    graph: ir.Graph, trace: Trace, roles: list[Channels], number: dict[ir.Value, int]
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
        if roles[i] is Channels.CHANNELWISE:
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
