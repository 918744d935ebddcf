"""The exponential moving average of each image's range (Jacob et al., arXiv:1712.05877, 3.1).

The average is bias-corrected, so that it is the plain mean while few images were seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.quant.calibrators import ALL

if TYPE_CHECKING:
    import numpy as np

MOMENTUM: Final = 0.99


class MovingAverage:
    """Averages minima and maxima with momentum 0.99."""

    def __init__(self) -> None:
        self.low = self.high = self.weight = 0.0

    def update(self, values: np.ndarray, counted: slice = ALL) -> None:  # noqa: ARG002
        self.low = MOMENTUM * self.low + (1 - MOMENTUM) * float(values.min())
        self.high = MOMENTUM * self.high + (1 - MOMENTUM) * float(values.max())
        self.weight = MOMENTUM * self.weight + (1 - MOMENTUM)

    def range(self) -> tuple[float, float]:
        return self.low / self.weight, self.high / self.weight


def make() -> MovingAverage:
    """A new calibrator."""
    return MovingAverage()
