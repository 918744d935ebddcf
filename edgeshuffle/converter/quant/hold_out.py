"""Images that a plan was not made from, and what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.converter.quant.images import count_images
from edgeshuffle.converter.quant.simulate import Simulation
from edgeshuffle.host.workers import Workers
from edgeshuffle.metrics import decibels, energies

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan
    from edgeshuffle.converter.quant.images import Images

# One in so many is held out, but never more than MOST.
_SHARE: Final = 5
_MOST: Final = 32
_LEAST_NOISE: Final = 1e-8


@dataclass(frozen=True)
class _Part:
    images: Images
    chosen: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.images[self.chosen[index]]


def hold_out(images: Images) -> tuple[Images, Images]:
    """Images to plan from, and others to check with: the same where there is only one.

    Raises DataError without images.
    """
    count = count_images(images)
    if count == 1:
        return images, images
    held = min(_MOST, max(1, count // _SHARE))
    others = dict.fromkeys(np.linspace(0, count - 1, held, dtype=int).tolist())
    rest = tuple(index for index in range(count) if index not in others)
    return _Part(images, rest), _Part(images, tuple(others))


class Judge:
    """The float outputs of some images, and how near plans come to them."""

    def __init__(self, reference: ir.Model, images: Images) -> None:
        run = FloatRun(reference)
        self._names = run.outputs
        self._images = images
        with Workers() as workers:
            self._expected = workers.all(lambda index: run(images[index]), range(len(images)))

    def sqnr(self, model: ir.Model, plan: QuantPlan) -> float:
        """Signal to quantization noise of the plan's outputs in simulation, in dB.

        The mean over outputs of two figures' mean: over all images, where a few with a large error
        decide, and the mean of each image's, where they hardly count. Either alone misleads with
        few images.
        """
        run = Simulation(model, plan)

        def look(index: int) -> list[tuple[float, float]]:
            found = run(torch.from_numpy(self._images[index]))
            return [
                energies(self._expected[index][name], output.numpy())
                for name, output in zip(self._names, found, strict=True)
            ]

        with Workers() as workers:
            known = np.array(workers.all(look, range(len(self._images))))
        return float(np.mean([_decibels(*pairs.T) for pairs in known.swapaxes(0, 1)]))


def _decibels(signals: np.ndarray, noises: np.ndarray) -> float:
    # Far beyond what 8 bits can reach, so that an image without quantization error stays finite.
    noises = np.maximum(noises, _LEAST_NOISE * signals.mean())
    if not signals.all():
        return decibels(float(signals.sum()), float(noises.sum()))
    alone = float(np.mean(10 * np.log10(signals / noises)))
    return (decibels(float(signals.sum()), float(noises.sum())) + alone) / 2
