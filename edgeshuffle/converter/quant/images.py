"""What quantization is calibrated with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


class Images(Protocol):
    """Float32 (1, 3, R, R) images that can be gone over several times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


def count_images(images: Images) -> int:
    """How many there are; raises DataError for none."""
    if not len(images):
        raise DataError("There are no calibration images. Give some with `calib`.")
    return len(images)
