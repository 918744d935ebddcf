"""Images that a plan was not made from, and what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.converter.quant.images import count_images
from edgeshuffle.converter.quant.simulate import quantized_outputs
from edgeshuffle.metrics import decibels, energies

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    chosen: frozenset[int]

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (image for index, image in enumerate(self.images) if index in self.chosen)


def hold_out(images: Images) -> tuple[Images, Images]:
    """Images to plan from, and others to check with: the same where there is only one.

    Raises DataError without images.
    """
    count = count_images(images)
    if count == 1:
        return images, images
    held = min(_MOST, max(1, count // _SHARE))
    others = frozenset(np.linspace(0, count - 1, held, dtype=int).tolist())
    return _Part(images, frozenset(range(count)) - others), _Part(images, others)


def sqnr(reference: ir.Model, model: ir.Model, plan: QuantPlan, images: Images) -> float:
    """Signal to quantization noise of the plan's outputs in simulation, in dB.

    The mean over outputs of two figures' mean: over all images, where a few with a large error
    decide, and the mean of each image's, where they hardly count. Either alone misleads with few
    images.
    """
    run = FloatRun(reference)
    pairs: list[list[tuple[float, float]]] = [[] for _ in run.outputs]
    for image in images:
        expected = run(image)
        found = quantized_outputs(model, plan, torch.from_numpy(image))
        for name, output, known in zip(run.outputs, found, pairs, strict=True):
            known.append(energies(expected[name], output.numpy()))
    return float(np.mean([_decibels(*np.array(known).T) for known in pairs]))


def _decibels(signals: np.ndarray, noises: np.ndarray) -> float:
    # Far beyond what 8 bits can reach, so that an image without quantization error stays finite.
    noises = np.maximum(noises, _LEAST_NOISE * signals.mean())
    if not signals.all():
        return decibels(float(signals.sum()), float(noises.sum()))
    alone = float(np.mean(10 * np.log10(signals / noises)))
    return (decibels(float(signals.sum()), float(noises.sum())) + alone) / 2
