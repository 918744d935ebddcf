"""The threshold whose quantized distribution is closest to the seen one in KL divergence.

As in S. Migacz, "8-bit inference with TensorRT", GTC 2017: for each threshold on |x|, the
reference P is the histogram with the values beyond it added to its last bin, and Q is the same
histogram without them, pooled to the quantized levels and spread back over the bins in use.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeshuffle.converter.plan import QMAX, QMIN
from edgeshuffle.converter.quant.calibrators.histogram import HistogramCalibrator

_CANDIDATES: Final = 128


class Entropy(HistogramCalibrator):
    """Searches thresholds of the magnitude."""

    def range(self) -> tuple[float, float]:
        seen = self.histogram
        signed = seen.low < 0 < seen.high
        levels = (QMAX - QMIN + 1) // (2 if signed else 1)
        places = np.abs(seen.first + np.arange(len(seen.counts)) + 0.5).astype(np.int64)
        magnitudes = np.bincount(places, weights=seen.counts)
        # What ReLU sets to 0 is exact at any threshold, and would drown the rest.
        magnitudes[0] = magnitudes[1] if len(magnitudes) > 1 else magnitudes[0]
        if len(magnitudes) <= levels:
            return seen.low, seen.high
        ends = np.unique(np.linspace(levels, len(magnitudes), _CANDIDATES).astype(int))
        best = min(reversed(ends), key=lambda end: _divergence(magnitudes, int(end), levels))
        threshold = best * seen.width
        return max(seen.low, -threshold), min(seen.high, threshold)


def _divergence(counts: np.ndarray, end: int, levels: int) -> float:
    kept = counts[:end]
    reference = kept.copy()
    reference[-1] += counts[end:].sum()
    level = np.arange(end) * levels // end
    used = kept > 0
    pooled = np.bincount(level, weights=kept, minlength=levels)
    shares = np.bincount(level, weights=used, minlength=levels)
    spread = np.where(used, pooled[level] / np.maximum(shares[level], 1), 0.0)
    p, q = reference / reference.sum(), spread / max(spread.sum(), 1.0)
    here = p > 0
    # A bin that only the clipped values fill has no counterpart in Q; it costs as the rarest one.
    rarest = q[q > 0].min() if (q > 0).any() else 1.0
    return float((p[here] * np.log(p[here] / np.maximum(q[here], rarest * 1e-3))).sum())


def make() -> Entropy:
    """A new calibrator."""
    return Entropy()
