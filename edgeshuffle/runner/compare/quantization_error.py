"""Quantization error of a value, also where equalization rescaled its channels."""

from __future__ import annotations

import numpy as np

from edgeshuffle.metrics import decibels


class QuantizationError:
    """Sums over images; `same_values` where both networks hold the same values.

    An equalized network holds a x + b in a channel where the float network holds x, with a and b
    of its own for each channel; they are those of least squares over all images.
    """

    def __init__(self, *, same_values: bool) -> None:
        self._same_values = same_values
        self._count = 0
        self._sums = np.zeros((0, 6))

    def add(self, expected: np.ndarray, found: np.ndarray) -> None:
        """One image's values (C, pixels)."""
        y, x = (array.astype(np.float64) for array in (expected, found))
        e = y - x
        sums = [array.sum(1) for array in (x, y, x * x, x * y, y * y, e * e)]
        self._sums = np.add(self._sums, np.stack(sums, 1)) if self._count else np.stack(sums, 1)
        self._count += y.shape[1]

    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio over all channels in dB; infinite without an error.

        Raises ValueError for values that are no finite numbers.
        """
        x, y, xx, xy, yy, ee = self._sums.T
        if self._same_values:
            return decibels(float(yy.sum()), float(ee.sum()))
        n = self._count
        variance, both = xx - x * x / n, xy - x * y / n
        # A channel that holds one number explains nothing but the mean. That of NaN is not 0.
        explained = np.divide(both**2, variance, out=np.zeros(len(x)), where=~(variance <= 0))
        error = np.maximum(yy - y * y / n - explained, 0)
        return decibels(float(yy.sum()), float(error.sum()))
