"""What quantization is calibrated with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    import numpy as np


class Images(Protocol):
    """Float32 (1, 3, R, R) images by their numbers, from several threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Joined:
    """Some images, and then others."""

    first: Images
    others: Images

    def __len__(self) -> int:
        return len(self.first) + len(self.others)

    def __getitem__(self, index: int, /) -> np.ndarray:
        behind = index - len(self.first)
        return self.first[index] if behind < 0 else self.others[behind]


def count_images(images: Images) -> int:
    """How many there are; raises DataError for none."""
    if not len(images):
        raise DataError("There are no calibration images. Give some with `calib`.")
    return len(images)
