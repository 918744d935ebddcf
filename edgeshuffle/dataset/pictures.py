"""Encoded pictures, from files or from arrays."""

from __future__ import annotations

import stat
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from PIL import Image, UnidentifiedImageError

from edgeshuffle.agent.picture import converted
from edgeshuffle.errors import DataError
from edgeshuffle.untrusted import quoted, read_bounded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

# Of an encoded picture.
MOST_BYTES: Final = 256 << 20


class Pictures(Protocol):
    def __len__(self) -> int: ...

    def picture(self, index: int, mode: str) -> Image.Image:
        """One picture of Pillow's `mode` RGB, RGBA or L; raises DataError."""
        ...

    def content(self, index: int) -> bytes:
        """The bytes that the digest covers; raises DataError."""
        ...

    def name(self, index: int) -> str:
        """What it is called: its file, or its array's file and its row."""
        ...

    def encoded(self, index: int) -> tuple[str, bytes]:
        """A picture file's suffix and its bytes; raises DataError."""
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
        image: Image.Image = decoded(path, str(path), lambda image: converted(image, mode))
        return image

    def content(self, index: int) -> bytes:
        path = self.paths[index]
        _check(path)
        try:
            return read_bounded(path, MOST_BYTES)
        except OSError as err:
            raise DataError(f"{path} cannot be read ({err.strerror}). Leave it out.") from err

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self.paths[index].suffix, self.content(index)


def decoded(source: Path | BytesIO, name: str, read: Callable[[Image.Image], T]) -> T:
    """What `read` makes of the opened image; raises DataError, with the picture's `name`."""
    if not isinstance(source, BytesIO):
        _check(source)
    try:
        # Pillow's remarks on odd files are for its users; what it calls a bomb is refused.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                return read(image)
    except DataError:
        raise
    except UnidentifiedImageError as err:
        raise DataError(
            f"{name} cannot be read as a picture (it is none of a known kind). Leave it out."
        ) from err
    # Pillow's decoders let errors of many types out of a damaged file.
    except Exception as err:
        raise DataError(
            f"{name} cannot be read as a picture ({quoted(str(err))}). Leave it out."
        ) from err


def _check(path: Path) -> None:
    """Refuse what would not end (pipes and the like), or would fill the memory."""
    try:
        found = path.stat()
    except OSError as err:
        raise DataError(f"{path} cannot be read ({err.strerror}). Leave it out.") from err
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise DataError(f"{path} is no file, or larger than {MOST_BYTES >> 20} MiB. Leave it out.")


@dataclass(frozen=True, eq=False)
class PixelPictures:
    """Pictures in memory, (n, h, w[, C]); `rows` are their numbers in their file."""

    pixels: NDArray[np.uint8]
    file: Path
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int, mode: str) -> Image.Image:
        image: Image.Image = converted(Image.fromarray(self.pixels[index]), mode)
        return image

    def content(self, index: int) -> bytes:
        pixels: bytes = self.pixels[index].tobytes()
        return str(self.pixels.shape[1:]).encode() + pixels

    def name(self, index: int) -> str:
        return f"{self.file.stem}_{self.rows[index]}"

    def encoded(self, index: int) -> tuple[str, bytes]:
        content = BytesIO()
        Image.fromarray(self.pixels[index]).save(content, "PNG")
        return ".png", content.getvalue()


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

    def name(self, index: int) -> str:
        return self.pictures.name(self.chosen[index])

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self.pictures.encoded(self.chosen[index])
