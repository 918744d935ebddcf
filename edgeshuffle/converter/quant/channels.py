"""Who reads each channel of each made value, after all that only moves it.

Built on the proof that dissolves shuffles (`passes.dissolve_shuffle.trace`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading, Trace, trace

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True, eq=False)
class Flow:
    """Made values by number, and their readings; `read[v]` are those that take channels of v."""

    trace: Trace
    number: dict[ir.Value, int]
    by_node: dict[ir.Node, Reading]
    read: tuple[tuple[Reading, ...], ...]

    def gathered(self, reading: Reading, arrays: list[np.ndarray]) -> np.ndarray:
        """Of per-channel arrays by made value, what a reader finds in the order it reads."""
        return np.array(
            [arrays[v][c] for v, c in zip(reading.made, reading.index, strict=True)], np.float64
        )


def flow(graph: ir.Graph) -> Flow:
    """Trace a graph of the core's operators."""
    traced = trace(graph)
    read: list[list[Reading]] = [[] for _ in traced.values]
    for reading in traced.readings:
        for made in np.unique(reading.made):
            read[int(made)].append(reading)
    return Flow(
        traced,
        {value: number for number, value in enumerate(traced.values)},
        {reading.node: reading for reading in traced.readings if reading.node is not None},
        tuple(map(tuple, read)),
    )


def column_energy(node: ir.Node) -> np.ndarray:
    """Squared error that a unit of it in each input channel of a Conv adds to its output, (C,)."""
    weight = np.asarray(g.constant(node.inputs[1]), np.float64)
    if g.is_grouped(node):
        groups = g.integer(node, "group", 1)
        return np.asarray((by_groups(weight, groups) ** 2).sum((1, 3, 4)).reshape(-1))
    axes = (1, 2, 3) if g.is_depthwise(node) else (0, 2, 3)
    return np.asarray((weight**2).sum(axes))


def by_groups(weight: np.ndarray, groups: int) -> np.ndarray:
    """A grouped convolution's weights as (G, O / G, I / G, kH, kW)."""
    return weight.reshape(groups, -1, *weight.shape[1:])
