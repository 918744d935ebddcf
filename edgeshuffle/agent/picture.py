"""A picture to a network's input: upright, resized, cropped, normalised.

Stands alone: needs numpy, and Pillow for encoded pictures only, Python 3.9 or later. It serves
`edgeshuffle` itself, and programs on a board that has no edgeshuffle.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

# Pillow's modes by the channels that a network reads. One with alpha is resized channel by channel.
MODES = {"rgb": "RGB", "bgr": "RGB", "gray": "L", "rgba": "RGBA"}
# Of Pillow's fixed-point weights (Resample.c).
BITS = 22
ORIENTATION = 0x0112
# Pillow's own limit, here of a picture after it was scaled: a narrow one grows large.
MOST_PIXELS = 89478485


class TooNarrowError(ValueError):
    """A picture that would become too large if it was scaled to cover the input."""


def upright(image: Any) -> tuple[Any, list[str]]:
    """A Pillow image turned as its EXIF orientation says, and what was odd about the picture."""
    from PIL import ImageOps

    odd = []
    if image.mode == "CMYK":
        odd.append("CMYK, read as RGB without a colour profile")
    if image.mode.startswith("I") or _deep(image):
        odd.append("16 bits a pixel, of which the upper 8 count")
    if image.getexif().get(ORIENTATION) in range(2, 9):
        image = ImageOps.exif_transpose(image)
        odd.append("turned upright, as its EXIF orientation says")
    return image, odd


def _deep(image: Any) -> bool:
    """Whether Pillow's decoder reads 16 bits a channel, such as `RGB;16B`, as 8."""
    return any(re.search(r";16[BLN]", str(tile[3])) for tile in getattr(image, "tile", ()))


def frames(image: Any) -> int:
    """How many pictures an opened Pillow image is an animation of."""
    # A camera's MPO has its preview or its other eye behind the picture.
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def converted(image: Any, mode: str) -> Any:
    """A Pillow image of eight bits a channel of that `mode`.

    Alpha is left out where `mode` has none, and opaque where the image has none. Grey is the luma
    of red, green and blue (ITU-R BT.601). Raises ValueError for floats, which may be of any range.
    """
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are floats")
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit greys at 255; their upper byte is the picture.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "P":
        # Straight to RGB, Pillow warns about the palette's transparency.
        image = image.convert("RGBA")
    if mode == "RGBA":
        return image.convert(mode)
    return image.convert("RGB").convert(mode)


def covering(size: tuple[int, int], resize: int, crop: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that a picture of `size` (width, height) is scaled to.

    As little as covers the (height, width) `crop` and its margin, `resize` / min(crop); the longer
    side is cut to whole pixels as torchvision does. Raises TooNarrowError.
    """
    height, width = (resize * side // min(crop) for side in crop)
    if size[0] * height <= size[1] * width:
        height = int(width * size[1] / size[0])
    else:
        width = int(height * size[0] / size[1])
    if height * width > MOST_PIXELS:
        raise TooNarrowError(f"A picture of {size[0]}x{size[1]} is too narrow. Leave it out.")
    return width, height


def corner(size: tuple[int, int], crop: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the centre of a picture of `size` (width, height)."""
    return round((size[0] - crop[1]) / 2), round((size[1] - crop[0]) / 2)


def scaled(image: Any, size: tuple[int, int]) -> Any:
    """A Pillow image of that `size`, bilinear over the area that a pixel covers.

    Across and then down: which of them Pillow begins with depends on its version.
    """
    from PIL import Image

    if image.mode == "RGBA":
        # Pillow would weigh colours by their alpha, and lose those of transparent pixels.
        return Image.merge("RGBA", [scaled(one, size) for one in image.split()])
    across = image.resize((size[0], image.height), Image.Resampling.BILINEAR)
    return across.resize(size, Image.Resampling.BILINEAR)


def resampled(
    pixels: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]
) -> np.ndarray:
    """The part `box` (left, top, width, height) of what `scaled` makes of uint8 (h, w, C) pixels.

    Equal to it to the bit: weights of 22 bits, and 8 bits after each direction.
    """
    left, top, width, height = box
    firsts, weights = _taps(pixels.shape[0], size[1], top, height)
    rows = slice(firsts[0], firsts[-1] + len(weights))
    across = _weighed(pixels[rows], 1, *_taps(pixels.shape[1], size[0], left, width))
    return _weighed(across, 0, firsts - firsts[0], weights)


def normalised(pixels: np.ndarray, mean: Any, std: Any, channels: str) -> np.ndarray:
    """float32 (1, C, H, W) of uint8 (H, W[, C]) pixels; `mean` and `std` are of values in 0..1."""
    flat = pixels.reshape(*pixels.shape[:2], -1)
    values: Any = flat.astype(np.float32) / np.float32(255)
    if channels == "bgr":
        values = values[..., ::-1]
    values = (values - np.array(mean, np.float32)) / np.array(std, np.float32)
    made: np.ndarray = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
    return made


def cropped(pixels: np.ndarray, resize: int, crop: tuple[int, int]) -> np.ndarray:
    """The `crop` (height, width) of uint8 (h, w, C) pixels, scaled unless they have its size."""
    height, width = crop
    if pixels.shape[:2] == (height, width):
        return pixels
    size = covering((pixels.shape[1], pixels.shape[0]), resize, crop)
    left, top = corner(size, crop)
    try:
        from PIL import Image
    except ImportError:
        return resampled(pixels, size, (left, top, width, height))
    # The same, and several times as fast.
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    part = scaled(image, size).crop((left, top, left + width, top + height))
    return np.asarray(part).reshape(height, width, -1)


def of_channels(pixels: np.ndarray, channels: str) -> np.ndarray:
    """uint8 (h, w, C) of what a network reads, of (h, w, 3) red, green and blue."""
    if channels == "gray":
        # Pillow's weights (Convert.c).
        red, green, blue = pixels.astype(np.uint32).transpose(2, 0, 1)
        luma: np.ndarray = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
        return luma.astype(np.uint8)[..., None]
    if channels == "rgba":
        return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return pixels


def _taps(before: int, after: int, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `count` new pixels, the first old one, (count,), and weights, (taps, count)."""
    scale = before / after
    reach = max(scale, 1.0)
    centres = (np.arange(start, start + count) + 0.5) * scale
    firsts = np.maximum((centres - reach + 0.5).astype(np.int64), 0)
    ends = np.minimum((centres + reach + 0.5).astype(np.int64), before)
    weights: Any = np.zeros((math.ceil(reach) * 2 + 1, count))
    total = np.zeros(count)
    for tap, weight in enumerate(weights):
        away = np.abs((tap + firsts - centres + 0.5) * (1.0 / reach))
        weight[:] = np.where(firsts + tap < ends, np.maximum(1.0 - away, 0.0), 0.0)
        total += weight
    return firsts, (0.5 + weights / total * (1 << BITS)).astype(np.int32)


def _weighed(pixels: np.ndarray, axis: int, firsts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of pixels along an axis, from the first ones on."""
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    last = pixels.shape[axis] - 1
    # Below 2**31: the weights of a pixel add up to 2**22, but for their rounding.
    total: Any = np.int32(1 << (BITS - 1))
    for tap, weight in enumerate(weights):
        beside = np.take(pixels, np.minimum(firsts + tap, last), axis)
        total = total + beside * weight.reshape(shape)
    rounded: np.ndarray = (total >> BITS).astype(np.uint8)
    return rounded
