"""The order in which every made value keeps its channels, and every reader takes them.

A dense convolution's rows are free: they are in the order that a joint reader needs, or else sorted
by signature, the set of gathering readers that a channel reaches (directly or through operators
that keep its order), earliest first. A grouped convolution's are so within each group, or in the
order that leaves the fewest runs to another grouped one (`staircase`). Everything else follows: a
reader that does not care takes its channels value by value in stored order, and a channel-wise
operator stores them as it took them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels
from edgeshuffle.converter.passes.dissolve_shuffle.follow import is_whole, leader_of, targets
from edgeshuffle.converter.passes.dissolve_shuffle.roles import FOLLOWING, readings_of, roles_of
from edgeshuffle.converter.passes.dissolve_shuffle.staircase import order_of_reader, order_of_source
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.passes.dissolve_shuffle.follow import Target
    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading, Trace

# A gathering reader, and which of its groups.
_Reached = tuple[int, int]


@dataclass(frozen=True)
class Arranged:
    """`stored[v][p]`: the original channel at place p of made value v. `taken[r][p]`: likewise
    for reading r, in the original channels of its input.
    """

    trace: Trace
    stored: list[np.ndarray]
    taken: list[np.ndarray]
    roles: list[Channels]


def arrange(graph: ir.Graph, trace: Trace) -> Arranged:
    """Choose every order. Values in `trace.fixed`, and what computes them, keep theirs."""
    return _Arranging(graph, trace).arranged()


class _Arranging:
    def __init__(self, graph: ir.Graph, trace: Trace) -> None:
        self.trace = trace
        self.number = {value: i for i, value in enumerate(trace.values)}
        self.readings = readings_of(trace)
        self.roles = roles_of(trace, self.number)
        self.particular: set[int] = set()
        for i in reversed(range(len(self.roles))):
            if self._is_particular(i):
                self.particular.update(trace.readings[i].made.tolist())
        self.targets = targets(trace, self.roles, self.number, self.readings)
        self.signatures = self._signatures(graph)
        self.places: list[np.ndarray] = []
        # Groups of a value whose channels, as stored, are the `staircase`'s blocks; 1 for others.
        self.blocks: list[int] = []
        self.taken: dict[int, np.ndarray] = {}

    def arranged(self) -> Arranged:
        stored = []
        for v, value in enumerate(self.trace.values):
            node = value.producer()
            mine = () if node is None else self.readings.get(node, ())
            self.blocks.append(self._blocks_of(node, mine))
            stored.append(self._stored(v, node, mine))
            self.places.append(np.argsort(stored[-1]))
        taken = [
            self.taken[i] if i in self.taken else self._take(i) for i in range(len(self.roles))
        ]
        return Arranged(self.trace, stored, taken, self.roles)

    def _blocks_of(self, node: ir.Node | None, mine: Sequence[int]) -> int:
        """Those of the only value that a following operator reads; 1 for others."""
        if node is None or not mine or self.roles[mine[0]] is not Channels.CHANNELWISE:
            return 1
        made = self.trace.readings[mine[0]].made
        return self.blocks[int(made[0])] if (made == made[0]).all() else 1

    def _stored(self, v: int, node: ir.Node | None, mine: Sequence[int]) -> np.ndarray:
        count = channel_count(self.trace.values[v])
        role = self.roles[mine[0]] if mine else Channels.FIXED
        if role is Channels.FREE and v not in self.trace.fixed:
            self.taken[mine[0]] = self._take(mine[0])
            return np.array(self._sorted(v, range(count)))
        if role is Channels.GROUPED:
            assert node is not None
            return self._grouped(v, mine[0], g.integer(node, "group", 1), count)
        if role in FOLLOWING:
            order = self._take(leader_of(self.trace, mine))
            for i in mine:
                whole = len(self.trace.readings[i]) == count
                self.taken[i] = order if whole else np.arange(1)
            return order
        return np.arange(count)

    def _grouped(self, v: int, reading: int, groups: int, count: int) -> np.ndarray:
        """Groups in the order of what they read first, unless the output has to keep its own or
        they read the blocks of another one's, which are in their order.
        """
        inside = np.split(self._take(reading), groups)
        if v in self.trace.fixed:
            self.taken[reading] = np.concatenate(inside)
            return np.arange(count)
        where, order = self._positions(reading), list(range(groups))
        if not self._takes_blocks(reading):
            order.sort(key=lambda k: tuple(where[inside[k][0]]))
        self.taken[reading] = np.concatenate([inside[k] for k in order])
        parts = [range(k * (count // groups), (k + 1) * (count // groups)) for k in order]
        readers = 1 if v in self.targets else self._readers(v, parts)
        if readers == 1:
            return np.array([c for part in parts for c in self._sorted(v, part)])
        self.blocks[v] = groups
        ranks = [np.argsort(order_of_source(s, readers)) for s in range(groups)]
        return np.array(
            [
                c
                for part, rank in zip(parts, ranks, strict=True)
                for c in sorted(part, key=lambda c: (rank[self._reached(v, c)], c))
            ]
        )

    def _readers(self, v: int, parts: list[range]) -> int:
        """How many groups the one grouped convolution has that reads channels of all the parts in
        each of its groups; 1 if a value's channels reach anything else.
        """
        reached = self.signatures[v]
        if any(len(each) != 1 for each in reached) or len({p for ((p, _),) in reached}) != 1:
            return 1
        readers = 1 + max(group for ((_, group),) in reached)
        each = [{self._reached(v, c) for c in part} for part in parts]
        return readers if all(len(groups) == readers for groups in each) else 1

    def _reached(self, v: int, channel: int) -> int:
        """Which group of its one reader a channel reaches."""
        ((_, group),) = self.signatures[v][channel]
        return group

    def _sorted(self, v: int, channels: range) -> list[int]:
        target: Target | None = self.targets.get(v)
        if target is not None:
            place = np.argsort(self._take(target.leader))[target.channel]
            return sorted(channels, key=lambda c: int(place[c]))
        keys = self.signatures[v]
        return sorted(channels, key=lambda c: (sorted(keys[c]), c))

    def _take(self, i: int) -> np.ndarray:
        """The order that a reader takes its channels in; a grouped one group after group."""
        reading, role = self.trace.readings[i], self.roles[i]
        if role is Channels.FIXED:
            return np.arange(len(reading))
        if i in self.taken:
            return self.taken[i]
        made, place = self._positions(i).T
        if self._is_particular(i):
            # The given order of values fits that of their further readers best.
            _, first, inverse = np.unique(made, return_index=True, return_inverse=True)
            made = first[inverse]
        if role is not Channels.GROUPED:
            return np.lexsort((np.arange(len(reading)), place, made))
        return np.lexsort(
            (np.arange(len(reading)), place, self._ranks(i, place), made, _groups(reading))
        )

    def _ranks(self, i: int, place: np.ndarray) -> np.ndarray:
        """Where in its group a grouped reader takes the block of each channel."""
        if not self._takes_blocks(i):
            return np.zeros(len(place))
        value, mine = int(self.trace.readings[i].made[0]), _groups(self.trace.readings[i])
        sources, readers = self.blocks[value], int(mine[-1]) + 1
        ranks = np.array([np.argsort(order_of_reader(d, sources, readers)) for d in range(readers)])
        found: np.ndarray = ranks[mine, place * sources // len(self.places[value])]
        return found

    def _takes_blocks(self, i: int) -> bool:
        """Whether a reader of groups reads nothing but the blocks of another one's."""
        made = self.trace.readings[i].made
        return self.blocks[int(made[0])] > 1 and bool((made == made[0]).all())

    def _is_particular(self, i: int) -> bool:
        """Whether a reader, or one of those that its output reaches, does not take any order."""
        if self.roles[i] not in FOLLOWING:
            return self.roles[i] is not Channels.FREE
        node = self.trace.readings[i].node
        assert node is not None
        return self.number[node.outputs[0]] in self.particular

    def _positions(self, i: int) -> np.ndarray:
        """(channels, 2): which made value each channel is of, and at which place."""
        reading = self.trace.readings[i]
        pairs = zip(reading.made.tolist(), reading.index.tolist(), strict=True)
        return np.array([(v, int(self.places[v][c])) for v, c in pairs]).reshape(-1, 2)

    def _signatures(self, graph: ir.Graph) -> list[list[set[_Reached]]]:
        """For every channel of every made value, the gathering readers that it reaches."""
        position: dict[ir.Node | None, int] = {node: i for i, node in enumerate(graph)}
        position[None] = len(position)
        readings = self.trace.readings
        result: list[list[set[_Reached]]] = [
            [set() for _ in range(channel_count(value))] for value in self.trace.values
        ]
        order = sorted(range(len(readings)), key=lambda i: position[readings[i].node], reverse=True)
        for i in order:
            reading, role = readings[i], self.roles[i]
            through: Iterable[set[_Reached]] = [set()] * len(reading)
            groups = _groups(reading) if role is Channels.GROUPED else [0] * len(reading)
            own = [{(position[reading.node], int(group))} for group in groups]
            if role in FOLLOWING:
                assert reading.node is not None
                made = result[self.number[reading.node.outputs[0]]]
                if len(made) == len(reading):
                    through = made
                if is_whole(reading, self.trace):
                    own = [set()] * len(reading)
            for v, c, mine, reached in zip(reading.made, reading.index, own, through, strict=True):
                result[v][c] |= mine | reached
        return result


def _groups(reading: Reading) -> np.ndarray:
    """Which group of a grouped convolution each channel is read by."""
    assert reading.node is not None
    groups = g.integer(reading.node, "group", 1)
    return np.arange(len(reading)) * groups // len(reading)
