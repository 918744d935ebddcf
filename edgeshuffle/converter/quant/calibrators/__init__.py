"""Calibrators: observe real values, choose the range that INT8 shall cover.

Each module has `make() -> Calibrator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    import numpy as np


ALL: Final = slice(None)


class Calibrator(Protocol):
    """Sees one image's (n,) values at a time; `range` may be asked for after the first.

    Where it goes by how often values are, those that are `counted` may stand for all.
    """

    def update(self, values: np.ndarray, counted: slice = ALL) -> None: ...

    def range(self) -> tuple[float, float]: ...


class CalibratorModule(Protocol):
    """What a calibrator's module offers."""

    def make(self) -> Calibrator: ...


CALIBRATORS: Table[CalibratorModule] = Table(
    "calibrator", __name__, "export", "minmax", "moving_average", "percentile", "entropy", "mse"
)
