"""How often 95 % intervals hold the truth, by simulation: lognormal times, 5 % noise.

What runs vary by is drawn anew in each simulated run, except the drift: it is part of the run's
conditions, and its truth is the percentile over the whole run.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from edgeshuffle.runner.bench.stats import ratio_of_medians, summarize

NOISE, BLOCK_EFFECT, DRIFT = 0.05, 0.02, 0.02
RUNS = {"smallest": 3000, "quick": 3000, "full": 2000}
SIZES = {"smallest": (4, 8), "quick": (16, 8), "full": (32, 32)}
MODELS = ("independent", "block effect", "drift")
# The smallest run has no samples to tell p90 from, the quick one none for p99.
PRINTED = {"smallest": ("p50",), "quick": ("p50", "p90"), "full": ("p50", "p90", "p99")}


def generator(*seed):
    return np.random.default_rng([ord(letter) for letter in "/".join(seed)])


def effects(model, random, blocks):
    """What each block's logarithms have in common, (blocks, 1)."""
    if model == "block effect":
        return BLOCK_EFFECT * random.standard_normal((blocks, 1))
    # Its halves differ by 1 %. More makes the intervals of few blocks wider than they need be.
    slope = DRIFT if model == "drift" else 0
    return slope * np.linspace(-0.5, 0.5, blocks)[:, None]


def times(random, common, size, noise=NOISE):
    return 1e6 * np.exp(common + noise * random.standard_normal((len(common), size)))


def truth(model, share, blocks):
    """The percentile of all times that such a run may have."""
    if model != "drift":
        spread = np.hypot(NOISE, BLOCK_EFFECT if model == "block effect" else 0)
        return 1e6 * np.exp(spread * NormalDist().inv_cdf(share))
    centres = effects(model, None, blocks).ravel()
    grid = np.linspace(-0.3, 0.3, 6001)
    below = [np.mean([NormalDist(c, NOISE).cdf(x) for c in centres]) for x in grid]
    return 1e6 * np.exp(np.interp(share, below, grid))


def percent(held):
    return 100 * np.mean(held)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", SIZES)
def test_intervals_of_percentiles(size, model):
    blocks, each = SIZES[size]
    random = generator(size, model)
    held = {}
    for _ in range(RUNS[size]):
        found = summarize(times(random, effects(model, random, blocks), each))
        for name in ("p50", "p90", "p99"):
            part = getattr(found, name)
            if part.low is not None:
                held.setdefault(name, []).append((part.low, part.high))
    assert tuple(held) == PRINTED[size]
    for name, intervals in held.items():
        assert len(intervals) > 0.9 * RUNS[size]
        low, high = np.transpose(intervals)
        true = truth(model, int(name[1:]) / 100, blocks)
        assert 93 <= percent((low <= true) & (true <= high)) <= 97, name


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", SIZES)
def test_intervals_of_ratios(size, model, paired):
    blocks, each = SIZES[size]
    random = generator(size, model, str(paired))
    held = []
    for _ in range(RUNS[size]):
        common = effects(model, random, blocks)
        other = common if paired else effects(model, random, blocks)
        pair = (2 * times(random, common, each), times(random, other, each, noise=0.03))
        found = ratio_of_medians(*pair, paired=paired)
        held.append(found.low <= 2 <= found.high)
    assert 93 <= percent(held) <= 97


def test_what_both_have_in_common_cancels_in_pairs():
    random = generator("pairs")
    widths = []
    for paired in (True, False):
        common = 0.2 * random.standard_normal((32, 1))
        pair = (times(random, common, 32), times(random, common, 32))
        found = ratio_of_medians(*pair, paired=paired)
        widths.append(found.high - found.low)
    assert widths[0] < 0.3 * widths[1]


@pytest.mark.parametrize("size", SIZES)
def test_no_difference_is_seldom_taken_for_one(size):
    random = generator("null", size)
    blocks, each = SIZES[size]
    seen = []
    for _ in range(1000):
        runs = [times(random, effects("block effect", random, blocks), each) for _ in range(2)]
        seen.append(ratio_of_medians(*runs, paired=False).excludes(1))
    assert 3 <= percent(seen) <= 7
