"""Encoded pictures, from files or from arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Pictures(Protocol):
    def __len__(self) -> int: ...

    def picture(self, index: int) -> Image.Image:
        """One RGB picture; raises DataError."""
        ...

    def content(self, index: int) -> bytes:
        """The bytes that the digest covers; raises DataError."""
        ...


@dataclass(frozen=True)
class FilePictures:
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                return _rgb(image)
        # Pillow's decoders let errors of many types out of a damaged file.
        except Exception as err:
            raise DataError(f"{path} cannot be read as a picture ({err}). Remove it.") from err

    def content(self, index: int) -> bytes:
        path = self.paths[index]
        try:
            return path.read_bytes()
        except OSError as err:
            raise DataError(f"{path} cannot be read ({err.strerror}). Remove it.") from err


@dataclass(frozen=True, eq=False)
class PixelPictures:
    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index]).convert("RGB")

    def content(self, index: int) -> bytes:
        pixels: bytes = self.pixels[index].tobytes()
        return str(self.pixels.shape[1:]).encode() + pixels


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits of red, green and blue, without the alpha channel."""
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit greys at 255; their upper byte is the picture.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "P":
        # Straight to RGB, Pillow warns about the palette's transparency.
        image = image.convert("RGBA")
    return image.convert("RGB")
