"""Which convolutions make their channels in the order that a joint reader needs.

Add and Mul take all their inputs in one order: that of the input that is made first, which leads.
A convolution that makes another of them, directly or through operators that keep the order, follows
it with its rows, so that neither a residual nor a gate needs its channels moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter.operators import Channels
from edgeshuffle.converter.passes.dissolve_shuffle.roles import FOLLOWING
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading, Trace


@dataclass(frozen=True, eq=False)
class Target:
    """Channel c of a made value goes where channel `channel[c]` of the reading `leader` is."""

    leader: int
    channel: np.ndarray


def leader_of(trace: Trace, mine: Sequence[int]) -> int:
    """Of a joint node's readings, the one whose channels were all made first."""
    count = max(len(trace.readings[i]) for i in mine)
    whole = [i for i in mine if len(trace.readings[i]) == count]
    return min(whole, key=lambda i: int(trace.readings[i].made.max()))


def is_whole(reading: Reading, trace: Trace) -> bool:
    """Whether the reading is all channels of one made value, in whatever order."""
    first = reading.made[0]
    count = channel_count(trace.values[first])
    return bool(
        (reading.made == first).all()
        and len(reading) == count
        and len(np.unique(reading.index)) == count
    )


def targets(
    trace: Trace,
    roles: Sequence[Channels],
    number: dict[ir.Value, int],
    readings: dict[ir.Node, list[int]],
) -> dict[int, Target]:
    """Of the made values that have one: what their channels should be in the order of."""
    leaders = {
        node: leader_of(trace, mine)
        for node, mine in readings.items()
        if roles[mine[0]] is Channels.JOINT
    }
    read: dict[int, list[int]] = {}
    for i, reading in enumerate(trace.readings):
        if roles[i] in FOLLOWING and is_whole(reading, trace):
            read.setdefault(int(reading.made[0]), []).append(i)
    found: dict[int, Target] = {}
    for v in reversed(range(len(trace.values))):
        for i in read.get(v, ()):
            reading = trace.readings[i]
            assert reading.node is not None
            at = np.argsort(reading.index)
            leader = leaders.get(reading.node, i)
            if leader != i:
                target = Target(leader, at)
            else:
                further = found.get(number[reading.node.outputs[0]])
                if further is None:
                    continue
                target = Target(further.leader, further.channel[at])
            # Its order has to be known when this value's is chosen.
            if trace.readings[target.leader].made.max() < v:
                found[v] = target
                break
    return found
