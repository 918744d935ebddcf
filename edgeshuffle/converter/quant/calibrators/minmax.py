"""The range of everything seen."""

from __future__ import annotations

import numpy as np

from edgeshuffle.converter.quant.calibrators import ALL


class MinMax:
    """Smallest and largest value."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def update(self, values: np.ndarray, counted: slice = ALL) -> None:  # noqa: ARG002
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def range(self) -> tuple[float, float]:
        return self.low, self.high


def make() -> MinMax:
    """A new calibrator."""
    return MinMax()
