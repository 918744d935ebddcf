"""What an image source holds, before any of it is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.dataset.pictures import FilePictures, Pictures

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from edgeshuffle.dataset.labels import ClassOrder
    from edgeshuffle.dataset.packed import PackedPictures


@dataclass(frozen=True, eq=False)
class ChosenPictures:
    """Some of other pictures, by their indices."""

    pictures: Pictures
    chosen: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.chosen)

    def picture(self, index: int) -> Image.Image:
        """One RGB picture; raises DataError."""
        return self.pictures.picture(self.chosen[index])

    def content(self, index: int) -> bytes:
        """The bytes that the digest covers; raises DataError."""
        return self.pictures.content(self.chosen[index])


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """Everything at a path, before the limit; `strata` are what the limit is spread over.

    `class_order` tells how class folders were told apart, where labels came from those.
    """

    source: tuple[Path, ...] | PackedPictures
    labels: NDArray[np.int64] | None
    strata: NDArray[np.int64]
    class_order: ClassOrder | None = None

    def take(self, chosen: NDArray[np.int64]) -> Pictures:
        """Those of the given ascending indices; raises DataError."""
        if isinstance(self.source, tuple):
            return FilePictures(tuple(self.source[index] for index in chosen))
        return self.source.take(chosen)
