"""Calibration images in other colours, so that a plan fits others than just them.

Grey pictures, or all of one light, leave out colours that a network will see. Half of the images
get a gain for each channel. Stronger variations (scale, sharpness, gamma, contrast) helped blurred
images, but cost 5 dB on good ones of a network that had never seen the like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter.quant.layer import FOLDS

if TYPE_CHECKING:
    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.converter.quant.images import Images

_SEED: Final = 2018
_GAIN: Final = (0.5, 1.0)


class Varied:
    """Images of a preprocessing, half of them, in every fold, with gains, always the same ones."""

    def __init__(self, images: Images, preprocess: Preprocess) -> None:
        self._images = images
        numbers = np.array((preprocess.mean, preprocess.std), np.float32)
        self._mean, self._std = numbers[..., None, None]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> np.ndarray:
        """Float32 (1, C, height, width)."""
        image = self._images[index]
        if index // FOLDS % 2 == 0:
            return image
        random = np.random.RandomState([_SEED, index])
        gains = random.uniform(*_GAIN, self._mean.shape).astype(np.float32)
        found: np.ndarray = ((image * self._std + self._mean) * gains - self._mean) / self._std
        return found
