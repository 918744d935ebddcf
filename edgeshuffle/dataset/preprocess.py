"""A picture to the network's input: resize, crop, normalise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeshuffle.artifact import Preprocess


def preprocess_picture(picture: Image.Image, preprocess: Preprocess) -> NDArray[np.float32]:
    """An RGB picture as normalised float32 (1, 3, crop, crop); a crop x crop one is not resized."""
    crop = preprocess.crop
    if picture.size != (crop, crop):
        picture = _centre(_resized(picture, preprocess.resize), crop)
    pixels: NDArray[np.float32] = np.asarray(picture, np.float32) / np.float32(255)
    mean, std = np.array((preprocess.mean, preprocess.std), np.float32)
    pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _resized(picture: Image.Image, shorter: int) -> Image.Image:
    """Resize the shorter side to `shorter` pixels, rounding the longer one as torchvision does."""
    short, long = sorted(picture.size)
    other = int(shorter * long / short)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and shorter * other > limit:
        raise DataError(f"A picture of {picture.width}x{picture.height} is too narrow. Remove it.")
    size = (shorter, other) if picture.width <= picture.height else (other, shorter)
    return picture.resize(size, Image.Resampling.BILINEAR)


def _centre(picture: Image.Image, crop: int) -> Image.Image:
    if min(picture.size) < crop:
        raise DataError(
            f"The model resizes pictures to {min(picture.size)} pixels but crops {crop}. "
            "Make `resize` at least `crop`."
        )
    left = round((picture.width - crop) / 2)
    top = round((picture.height - crop) / 2)
    return picture.crop((left, top, left + crop, top + crop))
