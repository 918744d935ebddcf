"""A histogram that grows with the data and does not depend on its order.

Bins have a power of two as width and multiples of it as edges. When the range needs more than
MAX_BINS of them, the width doubles and neighbours merge; so the final bins depend on the final
range alone.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edgeshuffle.converter.quant.calibrators import ALL

MAX_BINS: Final = 4096


class Histogram:
    """Counts of float values: bin i covers [(first + i) * width, (first + i + 1) * width)."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.exponent = 0
        self.first = 0
        self.counts = np.zeros(0, np.int64)

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, self.exponent)

    @property
    def centers(self) -> np.ndarray:
        """Middle of every bin."""
        return (self.first + np.arange(len(self.counts)) + 0.5) * self.width

    def update(self, values: np.ndarray, counted: slice = ALL) -> None:
        """Count finite float values, of any shape, or some of them, with the extremes of all."""
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        wanted = self._exponent()
        if len(self.counts) == 0:
            self.exponent = wanted
            self.first = math.floor(self.low / self.width)
        while self.exponent < wanted:
            self._double()
        begin = math.floor(self.low / self.width)
        end = math.floor(self.high / self.width) + 1
        grown = np.zeros(end - begin, np.int64)
        grown[self.first - begin : self.first - begin + len(self.counts)] = self.counts
        # A power of two scales float32 exactly, so no value changes its bin, but for those so small
        # that they become 0.
        places = np.ldexp(values.reshape(-1)[counted], -self.exponent)
        np.floor(places, out=places)
        np.clip(places, begin, end - 1, out=places)
        grown += np.bincount(places.astype(np.int64) - begin, minlength=len(grown))
        self.first, self.counts = begin, grown

    def _exponent(self) -> int:
        reach = max(abs(self.low), abs(self.high), self.high - self.low)
        if reach == 0:
            return -1022
        exponent = max(math.frexp(reach)[1] - int(math.log2(MAX_BINS)) - 1, -1022)
        while (
            math.floor(math.ldexp(self.high, -exponent))
            - math.floor(math.ldexp(self.low, -exponent))
            >= MAX_BINS
        ):
            exponent += 1
        return exponent

    def _double(self) -> None:
        counts = self.counts
        if self.first % 2:
            counts = np.concatenate(([0], counts))
        if len(counts) % 2:
            counts = np.concatenate((counts, [0]))
        self.first //= 2
        self.counts = counts.reshape(-1, 2).sum(axis=1)
        self.exponent += 1


class HistogramCalibrator:
    """One that chooses a range by the histogram of all values."""

    def __init__(self) -> None:
        self.histogram = Histogram()

    def update(self, values: np.ndarray, counted: slice = ALL) -> None:
        """Count finite float values, of any shape, or some of them, with the extremes of all."""
        self.histogram.update(values, counted)
