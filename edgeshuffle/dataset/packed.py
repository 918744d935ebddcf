"""Pictures that are rows of an array in a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.dataset.npy import Member, UnreadableError
from edgeshuffle.dataset.pictures import Pictures, PixelPictures
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

# So much is held in memory; beyond, pictures that are not packed are read when they are looked at.
_HELD: Final = 64 << 20
_MOST_BYTES: Final = 4 << 30
_MOST_TRANSPOSED: Final = 256 << 20


@dataclass(frozen=True, eq=False)
class RowPictures:
    """Rows of `shape`, uint8, that begin at a place in a file; `chosen` are the ones wanted."""

    file: Path
    place: int
    shape: tuple[int, ...]
    chosen: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chosen)

    def picture(self, index: int, mode: str) -> Image.Image:
        """One picture of Pillow's `mode` RGB, RGBA or L; raises DataError."""
        return self._row(index).picture(0, mode)

    def content(self, index: int) -> bytes:
        """The same bytes as of a picture in memory; raises DataError."""
        return self._row(index).content(0)

    def name(self, index: int) -> str:
        """The file's name and the row's number."""
        return f"{self.file.stem}_{self.chosen[index]}"

    def encoded(self, index: int) -> tuple[str, bytes]:
        """As a PNG file; raises DataError."""
        return self._row(index).encoded(0)

    def _row(self, index: int) -> PixelPictures:
        size = math.prod(self.shape)
        try:
            with self.file.open("rb") as file:
                file.seek(self.place + int(self.chosen[index]) * size)
                row = file.read(size)
        except OSError as err:
            raise DataError(f"{self.file} cannot be read ({err.strerror}).") from err
        if len(row) != size:
            raise DataError(f"{self.file} was cut while it was read. Start again.")
        pixels = np.frombuffer(row, np.uint8).reshape(1, *self.shape)
        return PixelPictures(pixels, self.file, self.chosen[index : index + 1])


@dataclass(frozen=True, eq=False)
class PackedPictures:
    """Pictures before some of them are chosen; `shape` is one picture's, (h, w[, 3 or 4])."""

    file: Path
    member: Member
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.member.length

    @classmethod
    def of(cls, file: Path, member: Member) -> PackedPictures:
        """Pictures of an array (n, h, w[, 1, 3 or 4]); raises DataError."""
        shape = member.shape
        single = len(shape) == 4 and shape[3] == 1
        good_shape = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
        if member.dtype != np.uint8 or not good_shape or 0 in shape[1:]:
            raise DataError(
                f"{file} has images of type {member.dtype} and shape {shape}. "
                "Give uint8 (n, h, w) or (n, h, w, C) with C 1, 3 or 4 (RGBA)."
            )
        return cls(file, member, shape[1:3] if single else shape[1:])

    def take(self, chosen: NDArray[np.int64]) -> Pictures:
        """Those of the given ascending indices; raises DataError."""
        size = math.prod(self.shape)
        wanted = len(chosen) * size
        place = None if self.member.fortran else self.member.place
        if wanted > _MOST_BYTES and place is None:
            raise DataError(
                f"{self.file} holds {len(chosen)} images of {size} bytes, more than "
                f"{_MOST_BYTES >> 30} GiB. Use fewer, with a limit, or write them by numpy.savez."
            )
        try:
            if wanted > _HELD and place is not None:
                self.member.verify()
                return RowPictures(self.file, place, self.shape, chosen)
            pixels = self._transposed(chosen) if self.member.fortran else self._rows(chosen)
        except UnreadableError as err:
            raise DataError(
                f"{self.file} cannot be unpacked ({err}). Make it again, by numpy.savez."
            ) from err
        return PixelPictures(pixels, self.file, chosen)

    def _transposed(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = self.member.whole(_MOST_TRANSPOSED)
        return pixels.reshape(len(self), *self.shape)[chosen]

    def _rows(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Unpack all, keep what is chosen."""
        size = math.prod(self.shape)
        kept = np.empty((len(chosen), size), np.uint8)
        done, rest = 0, np.empty(0, np.uint8)
        for chunk in self.member.chunks(size):
            unpacked = np.concatenate([rest, np.frombuffer(chunk, np.uint8)])
            rows = len(unpacked) // size
            first, last = np.searchsorted(chosen, (done, done + rows))
            kept[first:last] = unpacked[: rows * size].reshape(rows, size)[
                chosen[first:last] - done
            ]
            done, rest = done + rows, unpacked[rows * size :]
        return kept.reshape(len(chosen), *self.shape)
