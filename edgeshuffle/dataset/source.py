"""What an image source holds, before any of it is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeshuffle.dataset.labels import ClassOrder
    from edgeshuffle.dataset.pictures import Pictures


class Selectable(Protocol):
    """Pictures of which some are chosen before any is decoded."""

    def take(self, chosen: NDArray[np.int64]) -> Pictures:
        """Those of the given ascending indices; raises DataError."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSource:
    """All pictures at a path; a limit is spread over the `strata`, one (n,) index a picture.

    `class_order` tells how class folders were told apart, where labels came from those.
    """

    pictures: Selectable
    labels: NDArray[np.int64] | None
    strata: NDArray[np.int64]
    class_order: ClassOrder | None = None
