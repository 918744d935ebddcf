"""A picture to the network's input: resize, crop, normalise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeshuffle.artifact.preprocess import Channels, Preprocess

# Pillow's modes. One with alpha is resized channel by channel.
MODES: Final[dict[Channels, str]] = {"rgb": "RGB", "bgr": "RGB", "gray": "L", "rgba": "RGBA"}


def preprocess_picture(picture: Image.Image, preprocess: Preprocess) -> NDArray[np.float32]:
    """A picture of the mode in MODES as normalised float32 (1, C, height, width), as Preprocess
    says; raises DataError.
    """
    height, width = preprocess.crop
    if picture.size != (width, height):
        picture = _centre(_resized(picture, preprocess), preprocess)
    pixels: NDArray[np.float32] = np.asarray(picture, np.float32) / np.float32(255)
    pixels = pixels.reshape(height, width, -1)
    if preprocess.channels == "bgr":
        pixels = pixels[..., ::-1]
    mean, std = np.array((preprocess.mean, preprocess.std), np.float32)
    pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _resized(picture: Image.Image, preprocess: Preprocess) -> Image.Image:
    """Cover the crop and its margin, rounding the longer side as torchvision does."""
    height, width = (preprocess.resize * side // min(preprocess.crop) for side in preprocess.crop)
    if picture.width * height <= picture.height * width:
        height = int(width * picture.height / picture.width)
    else:
        width = int(height * picture.width / picture.height)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise DataError(f"A picture of {picture.width}x{picture.height} is too narrow. Remove it.")
    if picture.mode != "RGBA":
        return picture.resize((width, height), Image.Resampling.BILINEAR)
    # Pillow would weigh colours by their alpha, and lose those of transparent pixels.
    bands = [one.resize((width, height), Image.Resampling.BILINEAR) for one in picture.split()]
    return Image.merge("RGBA", bands)


def _centre(picture: Image.Image, preprocess: Preprocess) -> Image.Image:
    height, width = preprocess.crop
    if picture.height < height or picture.width < width:
        raise DataError(
            f"The model resizes pictures to {preprocess.resize} pixels but crops "
            f"{min(preprocess.crop)}. Make `resize` at least `crop`."
        )
    left = round((picture.width - width) / 2)
    top = round((picture.height - height) / 2)
    return picture.crop((left, top, left + width, top + height))
