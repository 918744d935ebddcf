"""Percentiles of inference times with confidence intervals that respect blocks.

Neighbouring inferences are alike, so n samples know less than n independent ones would. How much
less is read from the blocks: a percentile's interval is Woodruff's (J. Am. Stat. Assoc. 47, 1952,
the order statistics at ranks p - h and p + h), with h from the variance between blocks of the share
of samples below it. That variance is the mean square of successive differences (von Neumann et al.,
Ann. Math. Stat. 12, 1941), so a slow drift, which is part of what is estimated, does not pass for
noise. `tests/unit/runner/bench/test_coverage.py` holds how often intervals cover the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PERCENTILES: Final = (50, 90, 99)
# Fewer above p99 than that say nothing of where it ends: it needs 500 samples, p90 needs 50.
SAMPLES_BEYOND: Final = 5
# Student's t, two-sided 95 %, by degrees of freedom; between them, 1/df is interpolated.
_STUDENT: Final = (
    *((1, 12.706), (1.25, 8.028), (1.6, 5.517), (2, 4.303), (2.25, 3.875), (2.5, 3.575)),
    *((3, 3.182), (4, 2.776), (5, 2.571), (7, 2.365), (10, 2.228), (15, 2.131), (20, 2.086)),
    *((30, 2.042), (60, 2.0), (np.inf, 1.96)),
)
# Of Hall and Sheather's bandwidth (J. R. Stat. Soc. B 50, 1988) for the density at the median; all
# of it, meant for large samples, gives intervals that are too wide for 32.
_BANDWIDTH: Final = 0.3


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its 95 % confidence interval; None where the samples cannot tell it."""

    value: float
    low: float | None
    high: float | None

    def excludes(self, value: float) -> bool:
        """Whether the interval shows that it is not this value."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One case's inference times in ns; `cv` is the standard deviation over the mean."""

    n: int
    minimum: float
    mean: float
    maximum: float
    cv: float
    p50: Estimate
    p90: Estimate
    p99: Estimate


def summarize(blocks: Sequence[Sequence[int]] | NDArray[np.float64]) -> Statistics:
    """Statistics of blocks of equal length; percentiles are interpolated linearly.

    Raises ValueError for no samples and for blocks of unequal length.
    """
    samples = _array(blocks)
    ordered = np.sort(samples, axis=None)
    p50, p90, p99 = (_percentile(samples, ordered, percent / 100) for percent in PERCENTILES)
    return Statistics(
        n=samples.size,
        minimum=float(ordered[0]),
        mean=float(samples.mean()),
        maximum=float(ordered[-1]),
        cv=variation(samples),
        p50=p50,
        p90=p90,
        p99=p99,
    )


def ratio_of_medians(
    numerator: Sequence[Sequence[int]] | NDArray[np.float64],
    denominator: Sequence[Sequence[int]] | NDArray[np.float64],
    *,
    paired: bool = True,
) -> Estimate:
    """Median over median. `paired` cases took turns: only the rounds that both have count, and what
    slowed both of them down in a round cancels.

    The interval is that of the logarithms' difference, linearized: a median moves by the share of
    samples below it over the density there. Raises ValueError as `summarize` does.
    """
    common = min(len(numerator), len(denominator)) if paired else None
    above, below = _array(numerator[:common]), _array(denominator[:common])
    value = float(np.median(above) / np.median(below))
    if min(len(above), len(below)) < 2:
        return Estimate(value=value, low=None, high=None)
    influence_above, influence_below = _influence(above), _influence(below)
    if paired:
        variance = _variance(influence_above - influence_below)
        freedom = _freedom(len(influence_above))
    else:
        parts = np.array([_variance(influence_above), _variance(influence_below)])
        variance = float(parts.sum())
        freedoms = np.array([_freedom(len(influence_above)), _freedom(len(influence_below))])
        # Welch and Satterthwaite's.
        freedom = variance**2 / float((parts**2 / freedoms).sum()) if variance else np.inf
    half = _student(freedom) * variance**0.5
    return Estimate(value=value, low=value * np.exp(-half), high=value * np.exp(half))


def variation(samples: Sequence[int] | NDArray[np.float64]) -> float:
    """Standard deviation over mean."""
    return float(np.std(samples) / np.mean(samples))


def _array(blocks: Sequence[Sequence[int]] | NDArray[np.float64]) -> NDArray[np.float64]:
    samples = np.array(blocks, dtype=np.float64)
    if samples.size == 0:
        raise ValueError("there are no samples")
    return samples


def _percentile(
    samples: NDArray[np.float64], ordered: NDArray[np.float64], share: float
) -> Estimate:
    n = ordered.size
    value = _at_rank(ordered, share * (n - 1))
    unknown = Estimate(value=value, low=None, high=None)
    if len(samples) < 2 or n * min(share, 1 - share) < SAMPLES_BEYOND - 1e-9:
        return unknown
    variance = _variance((samples <= value).mean(axis=1))
    half = _student(_freedom(len(samples))) * variance**0.5
    low, high = share * (n - 1) - half * n, share * (n - 1) + half * n
    # What the samples are worth as independent ones. A bound past all of them is the last one,
    # unless even that may well be on the wrong side of the percentile.
    worth = min(n, share * (1 - share) / variance) if variance else n
    if (high > n - 1 and share**worth > 0.025) or (low < 0 and (1 - share) ** worth > 0.025):
        return unknown
    return Estimate(value=value, low=_at_rank(ordered, low), high=_at_rank(ordered, high))


def _influence(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each block's influence on the logarithm of the median (the influence function, averaged)."""
    logs = np.log(samples)
    ordered = np.sort(logs, axis=None)
    median, middle = np.median(ordered), 0.5 * (ordered.size - 1)
    # 1.96^(2/3) (1.5 phi(0)^2)^(1/3) = 0.972, phi the normal density.
    width = _BANDWIDTH * 0.972 * ordered.size ** (2 / 3)
    spread = _at_rank(ordered, middle + width) - _at_rank(ordered, middle - width)
    # Samples that equal the median are half below it.
    below = 0.5 * ((logs < median).mean(axis=1) + (logs <= median).mean(axis=1))
    influence: NDArray[np.float64] = (0.5 - below) * spread * ordered.size / (2 * width)
    return influence


def _variance(blocks: NDArray[np.float64]) -> float:
    """Of the mean of all blocks' values."""
    return float((np.diff(blocks) ** 2).sum() / (2 * (len(blocks) - 1)) / len(blocks))


def _freedom(blocks: int) -> float:
    """Degrees of freedom of `_variance`."""
    return 2 * (blocks - 1) ** 2 / (3 * blocks - 4)


def _student(freedom: float) -> float:
    inverse = [-1 / known for known, _ in _STUDENT]
    return float(np.interp(-1 / freedom, inverse, [t for _, t in _STUDENT]))


def _at_rank(ordered: NDArray[np.float64], rank: float) -> float:
    """Interpolated; ranks go from 0, and what is past an end is the end."""
    return float(np.interp(rank, np.arange(ordered.size), ordered))
