"""The range with the least mean squared error of quantization.

The error of a range on the histogram is that of rounding and of saturation together. Each end is
searched in turn over fractions of the observed range, twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeshuffle.converter.plan import QMAX, QMIN, params_of_range
from edgeshuffle.converter.quant.calibrators.histogram import HistogramCalibrator

_FRACTIONS: Final = np.linspace(1.0, 0.2, 81)
_ROUNDS: Final = 2


class MeanSquaredError(HistogramCalibrator):
    """Searches both ends of the range."""

    def range(self) -> tuple[float, float]:
        low, high = min(self.histogram.low, 0.0), max(self.histogram.high, 0.0)
        widest = low, high
        for _ in range(_ROUNDS):
            high = min(_FRACTIONS * widest[1], key=lambda end: self.error(low, float(end)))
            low = min(_FRACTIONS * widest[0], key=lambda end: self.error(float(end), high))
        return float(low), float(high)

    def error(self, low: float, high: float) -> float:
        """Mean squared error of the values seen, quantized to [low, high]."""
        params = params_of_range(low, high)
        centers = self.histogram.centers
        steps = np.clip(np.rint(centers / params.scale) + params.zero_point, QMIN, QMAX)
        off = (steps - params.zero_point) * params.scale - centers
        return float((off**2 * self.histogram.counts).sum() / self.histogram.counts.sum())


def make() -> MeanSquaredError:
    """A new calibrator."""
    return MeanSquaredError()
