"""What an image source holds, before any of it is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.images.pictures import FilePictures, Pictures

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edgeshuffle.images.packed import PackedPictures


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """Everything at a path, before the limit; `strata` are what the limit is spread over."""

    source: tuple[Path, ...] | PackedPictures
    labels: NDArray[np.int64] | None
    strata: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64]) -> Pictures:
        """Those of the given ascending indices; raises DataError."""
        if isinstance(self.source, tuple):
            return FilePictures(tuple(self.source[index] for index in chosen))
        return self.source.take(chosen)
