"""The range without the rarest values of either end."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeshuffle.converter.quant.calibrators.histogram import HistogramCalibrator

PERCENTILE: Final = 99.99


class Percentile(HistogramCalibrator):
    """Cuts (100 - 99.99) / 2 percent of the values at each end."""

    def range(self) -> tuple[float, float]:
        seen = self.histogram
        share = np.cumsum(seen.counts) / seen.counts.sum()
        tail = (100 - PERCENTILE) / 200
        low = (seen.first + int(np.searchsorted(share, tail, side="right"))) * seen.width
        high = (seen.first + int(np.searchsorted(share, 1 - tail)) + 1) * seen.width
        return max(low, seen.low), min(high, seen.high)


def make() -> Percentile:
    """A new calibrator."""
    return Percentile()
