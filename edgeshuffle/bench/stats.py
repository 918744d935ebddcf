"""Percentiles of inference times with confidence intervals that respect blocks.

Neighbouring inferences are alike, so the bootstrap draws whole blocks: single samples would give
intervals that are too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RESAMPLES: Final = 1000
CONFIDENCE: Final = (2.5, 97.5)
PERCENTILES: Final = (50, 90, 99)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float


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


def summarize(blocks: Sequence[Sequence[int]], seed: int) -> Statistics:
    """Statistics of blocks of equal length; percentiles are interpolated linearly.

    Raises ValueError for no samples and for blocks of unequal length.
    """
    samples = _array(blocks)
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [np.percentile(samples[draw], PERCENTILES) for draw in _draws(rng, len(samples))]
    )
    values = np.percentile(samples, PERCENTILES)
    p50, p90, p99 = (_estimate(value, drawn[:, i]) for i, value in enumerate(values))
    return Statistics(
        n=samples.size,
        minimum=float(samples.min()),
        mean=float(samples.mean()),
        maximum=float(samples.max()),
        cv=variation(samples),
        p50=p50,
        p90=p90,
        p99=p99,
    )


def ratio_of_medians(
    numerator: Sequence[Sequence[int]],
    denominator: Sequence[Sequence[int]],
    seed: int,
    *,
    paired: bool = True,
) -> Estimate:
    """Median over median. `paired` cases took turns: only the rounds that both have count, and a
    round's blocks are drawn together, so what slowed both of them down cancels.
    """
    common = min(len(numerator), len(denominator))
    above = _array(numerator[:common] if paired else numerator)
    below = _array(denominator[:common] if paired else denominator)
    rng = np.random.default_rng(seed)
    draws = _draws(rng, len(above))
    others = None if paired else _draws(np.random.default_rng(seed + 1), len(below))
    drawn = np.array(
        [
            np.median(above[draw]) / np.median(below[next(others) if others else draw])
            for draw in draws
        ]
    )
    return _estimate(float(np.median(above) / np.median(below)), drawn)


def variation(samples: Sequence[int] | NDArray[np.float64]) -> float:
    """Standard deviation over mean."""
    return float(np.std(samples) / np.mean(samples))


def _array(blocks: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    samples = np.array(blocks, dtype=np.float64)
    if samples.size == 0:
        raise ValueError("there are no samples")
    return samples


def _draws(rng: np.random.Generator, blocks: int) -> Iterator[NDArray[np.int64]]:
    return (rng.integers(0, blocks, blocks) for _ in range(RESAMPLES))


def _estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    low, high = np.percentile(drawn, CONFIDENCE)
    return Estimate(value=float(value), low=float(low), high=float(high))
