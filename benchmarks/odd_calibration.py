"""Calibration images as they should not be, made of good ones and of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

FEW: Final = 24
# Of the width: 1.2 pixels of 32.
_BLUR: Final = 0.0375
_SMALL: Final = 2


def odd_sets(good: Path, other: Path | None, folder: Path) -> dict[str, Path]:
    """Files (.npz) of the `good` images, grey, blurred and few of them, and of `other` ones made
    smaller, by what each is called.
    """
    pixels = np.load(good)["x"]
    made = {"good": pixels, "grey": _each(pixels, _grey), "blurred": _each(pixels, _blurred)}
    made[f"{FEW} images"] = pixels[np.linspace(0, len(pixels) - 1, FEW, dtype=int)]
    if other is not None:
        made["enlarged, foreign"] = _each(np.load(other)["x"][: len(pixels)], _smaller)
    paths = {}
    for name, images in made.items():
        paths[name] = folder / f"{name.replace(', ', '_').replace(' ', '_')}.npz"
        np.savez(paths[name], x=images)
    return paths


def _each(pixels: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    squeezed = pixels[..., 0] if pixels.shape[3:] == (1,) else pixels
    return np.stack([np.asarray(change(Image.fromarray(one).convert("RGB"))) for one in squeezed])


def _grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(picture.width * _BLUR))


def _smaller(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // _SMALL, picture.height // _SMALL))
