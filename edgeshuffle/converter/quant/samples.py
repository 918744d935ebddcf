"""What each channel of the float network holds on the calibration images: a seeded sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, operator_of
from edgeshuffle.converter.operators.fused import results
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count

if TYPE_CHECKING:
    import onnx_ir as ir


SAMPLES: Final = 16384
_SEED: Final = 2018
_THINNED: Final = 4


@dataclass(frozen=True, eq=False)
class Channels:
    """One value: `values` (C, n) float32 at places drawn from all images; extremes (C,) of all."""

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __getitem__(self, rows: slice) -> Channels:
        """Some channels."""
        return Channels(self.values[rows], self.low[rows], self.high[rows])

    def thinned(self) -> Channels:
        """A quarter of the places: enough to find where to look closer."""
        return Channels(np.ascontiguousarray(self.values[:, ::_THINNED]), self.low, self.high)


def sampled_values(graph: ir.Graph) -> list[ir.Value]:
    """The values that bring new numbers: the input, and what does not have its input's scale."""
    made = [node for node in graph if operator_of(node).scale is not Scale.TIED]
    values = [value for node in made for value in results(node) if g.is_float(value)]
    return [graph.inputs[0], *values]


class Samples:
    """An observer (`observe`) of `count` images that keeps Channels of all sampled values."""

    def __init__(self, graph: ir.Graph, count: int) -> None:
        self._random = np.random.default_rng(_SEED)
        self._shapes = {}
        self._kept: dict[str, Channels] = {}
        for value in sampled_values(graph):
            name, channels = value.name or "", channel_count(value)
            places = int(np.prod(g.shape_of(value))) // channels
            drawn = min(places, -(-SAMPLES // count))
            self._shapes[name] = (channels, places, drawn)
            self._kept[name] = Channels(
                np.empty((channels, count * drawn), np.float32),
                np.full(channels, np.inf, np.float32),
                np.full(channels, -np.inf, np.float32),
            )
        self.names = list(self._shapes)

    def prepare(self) -> list[np.ndarray]:
        """The places of an image."""
        return [
            self._random.choice(places, drawn, replace=False)
            for _, places, drawn in self._shapes.values()
        ]

    def look(
        self, index: int, prepared: list[np.ndarray], values: dict[str, np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Keep what is drawn; the extremes of all."""
        extremes = []
        for (name, (count, _, drawn)), places in zip(self._shapes.items(), prepared, strict=True):
            channels = values[name].reshape(count, -1)
            kept = self._kept[name].values[:, index * drawn : (index + 1) * drawn]
            np.take(channels, places, 1, out=kept, mode="clip")
            extremes.append((channels.min(1), channels.max(1)))
        return extremes

    def add(self, looked: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Widen what is known."""
        for channels, (low, high) in zip(self._kept.values(), looked, strict=True):
            np.minimum(channels.low, low, out=channels.low)
            np.maximum(channels.high, high, out=channels.high)

    def found(self) -> dict[str, Channels]:
        """Channels by value name."""
        return self._kept
