"""What each channel of the float network holds on the calibration images: a seeded sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, operator_of
from edgeshuffle.converter.operators.fused import results
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count
from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.converter.quant.images import count_images

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_ir as ir

    from edgeshuffle.converter.quant.images import Images

SAMPLES: Final = 16384
_SEED: Final = 2018


@dataclass(frozen=True, eq=False)
class Channels:
    """One value: `values` (C, n) float32 at places drawn from all images; extremes (C,) of all."""

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


def sampled_values(graph: ir.Graph) -> list[ir.Value]:
    """The values that bring new numbers: the input, and what does not have its input's scale."""
    made = [node for node in graph if operator_of(node).scale is not Scale.TIED]
    values = [value for node in made for value in results(node) if g.is_float(value)]
    return [graph.inputs[0], *values]


def sample(
    model: ir.Model, images: Images, progress: Callable[[int, int], None]
) -> dict[str, Channels]:
    """Channels by value name, from one pass over the images. Raises DataError and ModelError."""
    count = count_images(images)
    counts = {value.name or "": channel_count(value) for value in sampled_values(model.graph)}
    names = list(counts)
    run = FloatRun(model, names)
    random = np.random.RandomState(_SEED)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in names}
    lows: dict[str, np.ndarray] = {}
    highs: dict[str, np.ndarray] = {}
    for index, image in enumerate(images):
        found = run(image)
        for name in names:
            channels = found[name].reshape(counts[name], -1)
            low, high = channels.min(1), channels.max(1)
            lows[name] = np.minimum(lows.get(name, low), low)
            highs[name] = np.maximum(highs.get(name, high), high)
            wanted = min(channels.shape[1], -(-SAMPLES // count))
            places = random.choice(channels.shape[1], wanted, replace=False)
            drawn[name].append(channels[:, places])
        progress(index + 1, count)
    return {
        name: Channels(np.concatenate(drawn[name], 1), lows[name], highs[name]) for name in names
    }
