"""A picture to the network's input: `agent.picture`, with what cannot be prepared refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.agent.picture import TooNarrowError, corner, covering, normalised, scaled
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from edgeshuffle.artifact.preprocess import Preprocess


def preprocess_picture(picture: Image.Image, preprocess: Preprocess) -> NDArray[np.float32]:
    """A picture of the mode in MODES as normalised float32 (1, C, height, width), as Preprocess
    says; raises DataError.
    """
    height, width = preprocess.crop
    if picture.size != (width, height):
        picture = _centre(_resized(picture, preprocess), preprocess)
    pixels = np.asarray(picture).reshape(height, width, -1)
    return normalised(pixels, preprocess.mean, preprocess.std, preprocess.channels)


def _resized(picture: Image.Image, preprocess: Preprocess) -> Image.Image:
    """Cover the crop and its margin."""
    try:
        size = covering(picture.size, preprocess.resize, preprocess.crop)
    except TooNarrowError as err:
        raise DataError(str(err)) from err
    resized: Image.Image = scaled(picture, size)
    return resized


def _centre(picture: Image.Image, preprocess: Preprocess) -> Image.Image:
    height, width = preprocess.crop
    if picture.height < height or picture.width < width:
        raise DataError(
            f"The model resizes pictures to {preprocess.resize} pixels but crops "
            f"{min(preprocess.crop)}. Make `resize` at least `crop`."
        )
    left, top = corner(picture.size, preprocess.crop)
    return picture.crop((left, top, left + width, top + height))
