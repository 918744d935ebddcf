"""What the order of channels means to every reader, as far as the graph around it lets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels, operator_of
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count, is_row

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading, Trace

# Their output's channels are their inputs', in the order in which these are taken.
FOLLOWING = (Channels.CHANNELWISE, Channels.JOINT)


def readings_of(trace: Trace) -> dict[ir.Node, list[int]]:
    """The positions of every node's readings."""
    found: dict[ir.Node, list[int]] = {}
    for i, reading in enumerate(trace.readings):
        if reading.node is not None:
            found.setdefault(reading.node, []).append(i)
    return found


def roles_of(trace: Trace, number: dict[ir.Value, int]) -> list[Channels]:
    """A role for every reading.

    A node of several inputs takes all of them as given where one could not be proved, and so does
    one whose output has to keep its order.
    """
    roles = [Channels.FIXED] * len(trace.readings)
    for node, mine in readings_of(trace).items():
        role = _role(node, [trace.readings[i] for i in mine])
        if role in FOLLOWING and number[node.outputs[0]] in trace.fixed:
            role = Channels.FIXED
        for i in mine:
            roles[i] = role
    return roles


def _role(node: ir.Node, readings: list[Reading]) -> Channels:
    rows = [*(reading.value for reading in readings), *node.outputs]
    inputs = g.data_inputs(node)
    if len(node.outputs) != 1 or not all(map(is_row, rows)):
        return Channels.FIXED
    role = operator_of(node).role(node)
    if role is Channels.JOINT and len(inputs) == 1:
        role = Channels.CHANNELWISE
    if len(readings) != len(inputs) or (role is not Channels.JOINT and len(inputs) != 1):
        return Channels.FIXED
    count = channel_count(node.outputs[0])
    if role is Channels.CHANNELWISE and len(readings[0]) != count:
        return Channels.FIXED
    if role is Channels.JOINT and not {len(reading) for reading in readings} <= {1, count}:
        return Channels.FIXED
    return role
