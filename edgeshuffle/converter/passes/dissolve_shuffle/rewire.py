"""Give every reader its channels as a concatenation of contiguous runs, and permute the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels, where
from edgeshuffle.converter.passes.dissolve_shuffle.permute import permute_columns, permute_rows
from edgeshuffle.converter.passes.dissolve_shuffle.roles import readings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.converter.passes.dissolve_shuffle.order import Arranged
    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading

# A reader that would need more runs a value than this takes one Gather instead.
_MAX_RUNS: Final = 4
_WHY: Final = {
    Channels.GROUPED: "the groups of a grouped convolution admit no other order",
    Channels.FIXED: "it needs the order of the given model",
    Channels.JOINT: "its inputs are made in orders that do not fit each other",
}


@dataclass(frozen=True)
class Run:
    """Places start..stop of a made value, as stored."""

    made: int
    start: int
    stop: int


@dataclass(frozen=True)
class Source:
    """A reader's input: runs to concatenate, then perhaps channels to pick from the result."""

    runs: tuple[Run, ...]
    pick: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """One source a reading, how each made value is cut, and the moving operators that needs.

    `left` are the readers whose channels are still shuffled, and why.
    """

    sources: list[Source]
    cuts: dict[int, tuple[Run, ...]]
    splits: frozenset[int]
    moves: int
    left: tuple[str, ...]


def plan(arranged: Arranged) -> Plan:
    """Plan every reader's input without touching the graph."""
    sizes = [len(order) for order in arranged.stored]
    # Where each channel is stored.
    places = [np.argsort(order) for order in arranged.stored]
    sources = [
        _source(reading, taken, places, sizes)
        for reading, taken in zip(arranged.trace.readings, arranged.taken, strict=True)
    ]
    cuts: dict[int, tuple[Run, ...]] = {}
    for run in sorted(
        {run for source in sources for run in source.runs}, key=lambda r: (r.made, r.start, r.stop)
    ):
        if run.stop - run.start < sizes[run.made]:
            cuts[run.made] = (*cuts.get(run.made, ()), run)
    splits = frozenset(made for made, runs in cuts.items() if _partitions(runs, sizes[made]))
    distinct = set(sources)
    flats = sum(_needs_flatten(reading, arranged) for reading in arranged.trace.readings)
    returned = [
        (source, len(g.shape_of(reading.value)))
        for reading, source in zip(arranged.trace.readings, sources, strict=True)
        if reading.node is None
    ]
    moves = (
        sum(1 if made in splits else len(runs) for made, runs in cuts.items())
        + len({source.runs for source in distinct if len(source.runs) > 1})
        + sum(source.pick is not None for source in distinct)
        + flats
        + len(returned)
        - len(set(returned))
    )
    return Plan(sources, cuts, splits, moves, tuple(_left(arranged, sources)))


def _left(arranged: Arranged, sources: list[Source]) -> Iterator[str]:
    for reading, role, source in zip(arranged.trace.readings, arranged.roles, sources, strict=True):
        values = {run.made for run in source.runs}
        if role not in _WHY or (source.pick is None and len(source.runs) == len(values)):
            continue
        if role is Channels.JOINT and source.pick is None:
            continue
        reader = "the graph's output" if reading.node is None else where(reading.node)
        yield f"{reader} reads channels that are still shuffled before it, as {_WHY[role]}"


def _source(
    reading: Reading, taken: np.ndarray, places: list[np.ndarray], sizes: list[int]
) -> Source:
    made = reading.made[taken]
    channel = reading.index[taken]
    place = np.array([places[v][c] for v, c in zip(made, channel, strict=True)])
    joined = (made[1:] == made[:-1]) & (place[1:] == place[:-1] + 1)
    begins = np.concatenate(([0], np.flatnonzero(~joined) + 1))
    ends = np.concatenate((begins[1:], [len(made)]))
    runs = tuple(
        Run(int(made[b]), int(place[b]), int(place[e - 1]) + 1)
        for b, e in zip(begins, ends, strict=True)
    )
    values = list(dict.fromkeys(int(v) for v in made))
    if len(runs) <= _MAX_RUNS * len(values):
        return Source(runs)
    offset = dict(zip(values, np.cumsum([0] + [sizes[v] for v in values[:-1]]), strict=True))
    pick = tuple(int(offset[int(v)] + p) for v, p in zip(made, place, strict=True))
    return Source(tuple(Run(v, 0, sizes[v]) for v in values), pick)


def _partitions(runs: tuple[Run, ...], size: int) -> bool:
    ends = [run.stop for run in runs]
    return [run.start for run in runs] == [0, *ends[:-1]] and ends[-1] == size


def _needs_flatten(reading: Reading, arranged: Arranged) -> bool:
    made = arranged.trace.values[int(reading.made[0])]
    return len(g.shape_of(reading.value)) != len(g.shape_of(made))


def rewire(graph: ir.Graph, arranged: Arranged, planned: Plan) -> None:
    """Carry the plan out. Operators that nothing reads any more are left for the caller to drop."""
    trace, mine = arranged.trace, readings_of(arranged.trace)
    for value, order in zip(trace.values, arranged.stored, strict=True):
        node = value.producer()
        if node is not None and node in mine:
            permute_rows(graph, node, arranged.roles[mine[node][0]], order)
    builder = _Builder(graph, arranged, planned)
    returned: set[ir.Value] = set()
    for reading, taken, role, source in zip(
        trace.readings, arranged.taken, arranged.roles, planned.sources, strict=True
    ):
        moved = builder.value(source, like=reading)
        if reading.node is None:
            # A value has one name: of two outputs that are equal now, each keeps its own.
            graph.outputs[reading.slot] = builder.copy(moved) if moved in returned else moved
            returned.add(moved)
            continue
        reading.node.replace_input_with(reading.slot, moved)
        permute_columns(graph, reading.node, role, taken)


class _Builder:
    """Makes each run and each concatenation once, right after what it is made of."""

    def __init__(self, graph: ir.Graph, arranged: Arranged, planned: Plan) -> None:
        self.graph = graph
        self.values = arranged.trace.values
        self.sizes = [len(order) for order in arranged.stored]
        self.planned = planned
        self.names = g.value_names(graph)
        self.runs: dict[Run, ir.Value] = {}
        self.sources: dict[tuple[Source, int], ir.Value] = {}

    def value(self, source: Source, like: Reading) -> ir.Value:
        rank = len(g.shape_of(like.value))
        key = (source, rank)
        if key not in self.sources:
            value = self._concat(source.runs)
            if source.pick is not None:
                value = self._gather(value, source.pick)
            if len(g.shape_of(value)) != rank:
                value = self._reshape(value, g.shape_of(like.value))
            self.sources[key] = value
        return self.sources[key]

    def copy(self, value: ir.Value) -> ir.Value:
        return self._add("Identity", [value], "copy", g.shape_of(value))

    def _concat(self, runs: tuple[Run, ...]) -> ir.Value:
        if len(runs) == 1:
            return self._run(runs[0])
        key = (Source(runs), -1)
        if key not in self.sources:
            parts = [self._run(run) for run in runs]
            shape = g.shape_of(parts[0])
            channels = sum(run.stop - run.start for run in runs)
            self.sources[key] = self._add(
                "Concat", parts, "gathered", (shape[0], channels, *shape[2:])
            )
        return self.sources[key]

    def _run(self, run: Run) -> ir.Value:
        value = self.values[run.made]
        if run.stop - run.start == self.sizes[run.made]:
            return value
        if run not in self.runs:
            runs = self.planned.cuts[run.made]
            if run.made in self.planned.splits:
                self._split(value, runs)
            else:
                self.runs[run] = self._slice(value, run)
        return self.runs[run]

    def _split(self, value: ir.Value, runs: tuple[Run, ...]) -> None:
        n, _, *spatial = g.shape_of(value)
        counts = [run.stop - run.start for run in runs]
        sizes = g.new_constant(self.graph, f"{value.name}_sizes", np.array(counts, np.int64))
        outputs = [
            g.new_value(self._name(f"{value.name}_part"), (n, count, *spatial)) for count in counts
        ]
        node = ir.Node("", "Split", [value, sizes], [ir.AttrInt64("axis", 1)], outputs=outputs)
        self.graph.append(node)
        self.runs.update(zip(runs, outputs, strict=True))

    def _slice(self, value: ir.Value, run: Run) -> ir.Value:
        n, _, *spatial = g.shape_of(value)
        limits = [
            g.new_constant(self.graph, f"{value.name}_{name}", np.array([number], np.int64))
            for name, number in (("start", run.start), ("stop", run.stop), ("axis", 1))
        ]
        return self._add("Slice", [value, *limits], "part", (n, run.stop - run.start, *spatial))

    def _gather(self, value: ir.Value, pick: tuple[int, ...]) -> ir.Value:
        n, _, *spatial = g.shape_of(value)
        indices = g.new_constant(self.graph, f"{value.name}_pick", np.array(pick, np.int64))
        return self._add("Gather", [value, indices], "picked", (n, len(pick), *spatial))

    def _reshape(self, value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
        if len(shape) == 2:
            return self._add("Flatten", [value], "flat", shape)
        sizes = g.new_constant(self.graph, f"{value.name}_shape", np.array(shape, np.int64))
        return self._add("Reshape", [value, sizes], "column", shape)

    def _add(
        self, op: str, inputs: list[ir.Value], suffix: str, shape: tuple[int, ...]
    ) -> ir.Value:
        attributes = [ir.AttrInt64("axis", 1)] if op in ("Concat", "Gather") else []
        result = g.new_value(self._name(f"{inputs[0].name}_{suffix}"), shape)
        self.graph.append(ir.Node("", op, inputs, attributes, outputs=[result]))
        return result

    def _name(self, wanted: str) -> str:
        name, suffix = wanted, 0
        while name in self.names:
            suffix += 1
            name = f"{wanted}_{suffix}"
        self.names.add(name)
        return name
