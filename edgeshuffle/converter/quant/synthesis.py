"""Pictures that a network's batch norms take for those that it was trained on.

From noise of all scales, pixels are changed by gradients until the means and deviations that the
batch norms see are those that they remember (ZeroQ's distilled data, Cai et al., arXiv:2001.00281,
section 3.1). Pixels stay within what pictures can have.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F

from edgeshuffle.converter.quant.batch_norms import BatchNorms
from edgeshuffle.converter.quant.one_thread import one_thread
from edgeshuffle.host.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.progress import Progress

COUNT: Final = 32
STEPS: Final = 40
_RATE: Final = 0.1
_SEED: Final = 2018
# Pictures whose statistics are taken together, on inputs of this many pixels or fewer.
_TOGETHER: Final = 16
_PIXELS: Final = 224 * 224
# Of each scale's noise, and what is left of it at twice the scale.
_COARSEST: Final = 4
_FINER: Final = 0.6
_COLOUR: Final = 0.5
_CONTRAST: Final = (0.1, 0.3)
_BRIGHTNESS: Final = (0.3, 0.65)
# No pixel begins where nothing moves it.
_EDGE: Final = 0.02
STAGE: Final = "make up images"


def synthesised(norms: BatchNorms, preprocess: Preprocess, progress: Progress) -> np.ndarray:
    """COUNT pictures in uint8, as files hold them: (N, H, W) or (N, H, W, C) in RGB or RGBA."""
    height, width = preprocess.crop
    together = max(2, min(_TOGETHER, _TOGETHER * _PIXELS // (height * width)))
    parts = [range(at, min(at + together, COUNT)) for at in range(0, COUNT, together)]
    done = [0]

    def step() -> None:
        done[0] += 1
        progress(STAGE, min(done[0], STEPS * len(parts)), STEPS * len(parts))

    make = partial(_fitted, norms, preprocess, step)
    with one_thread(), Workers() as workers:
        found = workers.all(make, parts)
    pixels = torch.cat(found).permute(0, 2, 3, 1)
    if preprocess.channels == "bgr":
        pixels = pixels.flip(3)
    if preprocess.channels == "gray":
        pixels = pixels[..., 0]
    return (pixels * 255).round().to(torch.uint8).contiguous().numpy()


def _fitted(
    norms: BatchNorms, preprocess: Preprocess, step: Callable[[], None], part: range
) -> torch.Tensor:
    # Each worker has a network of its own, which remembers what it saw.
    mine = BatchNorms(norms.given)
    numbers = np.array((preprocess.mean, preprocess.std), np.float32)
    mean, std = torch.from_numpy(numbers[..., None, None])
    start = torch.stack([_noise(preprocess.shape, index) for index in part])
    levels = torch.logit(start.clamp(_EDGE, 1 - _EDGE)).requires_grad_()
    optimizer = torch.optim.Adam([levels], _RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        distance = mine.distance((torch.sigmoid(levels) - mean) / std)
        (levels.grad,) = torch.autograd.grad(distance, levels)
        optimizer.step()
        step()
    return torch.sigmoid(levels.detach())


def _noise(shape: tuple[int, int, int], index: int) -> torch.Tensor:
    """A picture (C, H, W) of blots of all sizes: fine ones are fainter, and all mostly grey."""
    random = np.random.RandomState([_SEED, index])
    channels, *sides = shape
    found = torch.zeros(1, *shape)
    size, share = _COARSEST, 1.0
    while size < 2 * max(sides):
        grid = [min(size, side) for side in sides]
        colours = random.standard_normal((1, channels, *grid)).astype(np.float32)
        grey = random.standard_normal((1, 1, *grid)).astype(np.float32)
        blots = torch.from_numpy(grey + _COLOUR * colours)
        found += share * F.interpolate(blots, sides, mode="bilinear")
        size, share = 2 * size, share * _FINER
    found = (found - found.mean((2, 3), keepdim=True)) / found.std((2, 3), keepdim=True)
    return random.uniform(*_BRIGHTNESS) + random.uniform(*_CONTRAST) * found[0]
