"""Encoded pictures, from files or from arrays."""

from __future__ import annotations

import stat
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from PIL import Image

from edgeshuffle.errors import DataError
from edgeshuffle.untrusted import quoted, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


_MOST_BYTES: Final = 256 << 20


class Pictures(Protocol):
    def __len__(self) -> int: ...

    def picture(self, index: int, mode: str) -> Image.Image:
        """One picture of Pillow's `mode` RGB, RGBA or L; raises DataError."""
        ...

    def content(self, index: int) -> bytes:
        """The bytes that the digest covers; raises DataError."""
        ...


@dataclass(frozen=True)
class FilePictures:
    paths: tuple[Path, ...]

    def take(self, chosen: NDArray[np.int64]) -> FilePictures:
        return FilePictures(tuple(self.paths[index] for index in chosen))

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int, mode: str) -> Image.Image:
        path = self.paths[index]
        self._check(path)
        try:
            # Pillow's remarks on odd files are for its users; what it calls a bomb is refused.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    return _converted(image, mode)
        # Pillow's decoders let errors of many types out of a damaged file.
        except Exception as err:
            raise DataError(
                f"{path} cannot be read as a picture ({quoted(str(err))}). Remove it."
            ) from err

    def content(self, index: int) -> bytes:
        path = self.paths[index]
        self._check(path)
        try:
            return read_bounded(path, _MOST_BYTES)
        except OSError as err:
            raise DataError(f"{path} cannot be read ({err.strerror}). Remove it.") from err

    def _check(self, path: Path) -> None:
        """Refuse what would not end (pipes and the like), or would fill the memory."""
        try:
            found = path.stat()
        except OSError as err:
            raise DataError(f"{path} cannot be read ({err.strerror}). Remove it.") from err
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise DataError(
                f"{path} is no file, or larger than {_MOST_BYTES >> 20} MiB. Remove it."
            )


@dataclass(frozen=True, eq=False)
class PixelPictures:
    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int, mode: str) -> Image.Image:
        return _converted(Image.fromarray(self.pixels[index]), mode)

    def content(self, index: int) -> bytes:
        pixels: bytes = self.pixels[index].tobytes()
        return str(self.pixels.shape[1:]).encode() + pixels


@dataclass(frozen=True, eq=False)
class PictureSubset:
    """Some of other pictures, by their indices."""

    pictures: Pictures
    chosen: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.chosen)

    def picture(self, index: int, mode: str) -> Image.Image:
        return self.pictures.picture(self.chosen[index], mode)

    def content(self, index: int) -> bytes:
        return self.pictures.content(self.chosen[index])


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Eight bits a channel; without alpha where `mode` has none, and opaque where the image has
    none. Grey is the luma of red, green and blue (ITU-R BT.601).
    """
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit greys at 255; their upper byte is the picture.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "P":
        # Straight to RGB, Pillow warns about the palette's transparency.
        image = image.convert("RGBA")
    if mode == "RGBA":
        return image.convert(mode)
    return image.convert("RGB").convert(mode)
