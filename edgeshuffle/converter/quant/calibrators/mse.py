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
        centers, counts = self.histogram.centers, self.histogram.counts.astype(np.float64)

        def error(low: float, high: float) -> float:
            params = params_of_range(low, high)
            steps = np.rint(centers / params.scale)
            np.clip(steps, QMIN - params.zero_point, QMAX - params.zero_point, out=steps)
            off = steps * params.scale - centers
            return float((off * off) @ counts)

        for _ in range(_ROUNDS):
            high = min(_FRACTIONS * widest[1], key=lambda end: error(low, float(end)))
            low = min(_FRACTIONS * widest[0], key=lambda end: error(float(end), high))
        return float(low), float(high)


def make() -> MeanSquaredError:
    """A new calibrator."""
    return MeanSquaredError()
