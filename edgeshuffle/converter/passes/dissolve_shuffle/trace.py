"""Where every channel that an operator reads was made, proved by running the data movement.

Each element of a value made by a computing operator (or given to the graph) has a number. Moving
operators are executed on arrays of these numbers. A reader's input is then a row of channels if
each of its feature maps is a whole one of some made value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels, operator_of, where

if TYPE_CHECKING:
    import onnx_ir as ir

_MAX_INT32: Final = np.iinfo(np.int32).max


def is_move(node: ir.Node) -> bool:
    """Whether the operator only rearranges elements of its run-time inputs."""
    return operator_of(node).channels is Channels.MOVES


def is_row(value: ir.Value) -> bool:
    """Whether a value is a row of channels, (1, C) or (1, C, H, W)."""
    shape = g.shape_of(value)
    return len(shape) in (2, 4) and shape[0] == 1


def channel_count(value: ir.Value) -> int:
    """Channels of a row of them; any other value is one whole."""
    return g.shape_of(value)[1] if is_row(value) else 1


@dataclass(frozen=True)
class Reading:
    """What one computing operator (None: the graph's output) reads at one of its inputs.

    `made[k]` and `index[k]`: channel k is channel `index[k]` of the made value `made[k]`.
    """

    node: ir.Node | None
    slot: int
    value: ir.Value
    made: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.made)


@dataclass
class Trace:
    """The made values by number, every provable reading, and what could not be proved."""

    values: list[ir.Value] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    fixed: set[int] = field(default_factory=set)
    kept: set[ir.Node] = field(default_factory=set)
    left: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each reader that was left keeps its input as it is."""
        return tuple(self.left)

    @property
    def kept_moves(self) -> int:
        """How many moving operators the readers that were left still need."""
        return len(self.kept)


def trace(graph: ir.Graph) -> Trace:
    """Trace every reader of a topologically sorted graph of static shapes and batch 1."""
    result = Trace()
    tracer = _Tracer(result)
    for value in graph.inputs:
        tracer.make(value)
    for node in graph:
        if is_move(node):
            if tracer.move(node):
                continue
            result.kept.add(node)
        for slot, value in g.data_inputs(node):
            tracer.read(node, slot, value)
        for value in node.outputs:
            tracer.make(value)
    for slot, value in enumerate(graph.outputs):
        tracer.read(None, slot, value)
    return result


class _Tracer:
    def __init__(self, result: Trace) -> None:
        self.result = result
        self.number: dict[ir.Value, int] = {}
        self.first: list[int] = [0]
        self.elements: dict[ir.Value, np.ndarray] = {}

    def make(self, value: ir.Value) -> None:
        self.number[value] = len(self.result.values)
        self.result.values.append(value)
        self.first.append(self.first[-1] + int(np.prod(g.shape_of(value))))

    def _elements(self, value: ir.Value) -> np.ndarray:
        if value in self.number:
            start = self.first[self.number[value]]
            shape = g.shape_of(value)
            kind = np.int32 if self.first[-1] <= _MAX_INT32 else np.int64
            return np.arange(start, start + int(np.prod(shape)), dtype=kind).reshape(shape)
        return self.elements[value]

    def move(self, node: ir.Node) -> bool:
        """Execute a moving operator.

        False where its parameters are not constant, or it means something else than it does here.
        """
        inputs = [value for _, value in g.data_inputs(node)]
        constants = [g.constant(value) for value in node.inputs[1:]]
        if node.op_type != "Concat" and (len(inputs) != 1 or any(c is None for c in constants)):
            return False
        outputs = operator_of(node).move(node, [self._elements(value) for value in inputs])
        if [array.shape for array in outputs] != [g.shape_of(value) for value in node.outputs]:
            return False
        for value, array in zip(node.outputs, outputs, strict=True):
            self.elements[value] = array
        return True

    def read(self, node: ir.Node | None, slot: int, value: ir.Value) -> None:
        if value in self.number:
            count = channel_count(value)
            made = np.full(count, self.number[value])
            reading = Reading(node, slot, value, made, np.arange(count))
        else:
            found = self._channels(value)
            if found is None:
                self._leave(node, value)
                return
            reading = Reading(node, slot, value, *found)
        self.result.readings.append(reading)

    def _channels(self, value: ir.Value) -> tuple[np.ndarray, np.ndarray] | None:
        """The made value and the channel of each feature map; None unless all are whole channels.

        It is one if its elements follow each other, and it begins where a channel of its size
        begins. It then ends there, too, as a made value is a whole number of channels. Height and
        width must be the channel's own, and all made values of one rank, to be concatenated.
        """
        elements = self.elements[value]
        if elements.ndim not in (2, 4) or elements.shape[0] != 1 or not elements.size:
            return None
        feature_maps = elements.reshape(elements.shape[1], -1)
        begin, size = feature_maps[:, 0].astype(np.int64), feature_maps.shape[1]
        if (feature_maps != begin[:, None] + np.arange(size)).any():
            return None
        made = np.searchsorted(self.first, begin, side="right") - 1
        offset = begin - np.asarray(self.first)[made]
        if (offset % size).any():
            return None
        shapes = [g.shape_of(self.result.values[number]) for number in np.unique(made)]
        if len({len(shape) for shape in shapes}) > 1:
            return None
        for shape in shapes:
            if len(shape) not in (2, 4) or shape[0] != 1 or int(np.prod(shape[2:])) != size:
                return None
            if len(shape) == 4 and elements.ndim == 4 and shape[2:] != elements.shape[2:]:
                return None
        return made, offset // size

    def _in_order(self, value: ir.Value) -> bool:
        """Whether the channels of each made value come in their order, however they lie."""
        numbers = self.elements[value].reshape(-1).astype(np.int64)
        made = np.searchsorted(self.first, numbers, side="right") - 1
        for v in np.unique(made):
            of_channel = max(1, int(np.prod(g.shape_of(self.result.values[v])[2:])))
            channels = (numbers[made == v] - self.first[v]) // of_channel
            _, begins = np.unique(channels, return_index=True)
            if (np.diff(begins) < 0).any():
                return False
        return True

    def _leave(self, node: ir.Node | None, value: ir.Value) -> None:
        """Keep the operators that feed this reader, and the order of what they read."""
        reader = "the graph's output" if node is None else where(node)
        # Outputs, what works on lists of boxes, and what has no weights may have any layout.
        weightless = (Channels.CHANNELWISE, Channels.JOINT)
        free = node is None or operator_of(node).role(node) in weightless
        if not self._in_order(value) or (is_row(value) and not free):
            self.result.left.append(
                f"{reader} reads '{value.name}' of shape {list(g.shape_of(value))}, which is not a "
                "row of whole channels"
            )
        pending = [value]
        while pending:
            current = pending.pop()
            if current in self.number:
                self.result.fixed.add(self.number[current])
                continue
            producer = current.producer()
            assert producer is not None
            if producer not in self.result.kept:
                self.result.kept.add(producer)
                pending += [source for _, source in g.data_inputs(producer)]
