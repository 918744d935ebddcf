from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeshuffle.bench.stats import ratio_of_medians, summarize, variation

times = st.integers(1, 10**9)


def grids(least=1, most=20):
    """Blocks of equal length."""
    return st.integers(1, 12).flatmap(
        lambda size: st.lists(
            st.lists(times, min_size=size, max_size=size), min_size=least, max_size=most
        )
    )


def percentiles(statistics):
    return (statistics.p50, statistics.p90, statistics.p99)


@settings(max_examples=20, deadline=None)
@given(blocks=grids(), seed=st.integers(0, 2**32))
def test_values_are_numpys_and_lie_in_their_intervals(blocks, seed):
    found = summarize(blocks, seed)
    samples = np.ravel(blocks)
    assert [part.value for part in percentiles(found)] == list(np.percentile(samples, (50, 90, 99)))
    assert (found.n, found.minimum, found.maximum) == (samples.size, samples.min(), samples.max())
    assert found.mean == pytest.approx(samples.mean())
    assert found.cv == pytest.approx(samples.std() / samples.mean())
    for part in percentiles(found):
        assert found.minimum <= part.low <= part.value <= part.high <= found.maximum


@settings(max_examples=20, deadline=None)
@given(blocks=grids(), factor=st.integers(2, 1000))
def test_scaled_samples_have_scaled_results(blocks, factor):
    before = summarize(blocks, 3)
    after = summarize([[factor * sample for sample in block] for block in blocks], 3)
    assert after.cv == pytest.approx(before.cv)
    assert after.mean == pytest.approx(factor * before.mean)
    for one, other in zip(percentiles(before), percentiles(after), strict=True):
        assert other.value == pytest.approx(factor * one.value)
        assert other.low == pytest.approx(factor * one.low)
        assert other.high == pytest.approx(factor * one.high)


@settings(max_examples=20, deadline=None)
@given(block=st.lists(times, min_size=1, max_size=12), count=st.integers(1, 20))
def test_identical_blocks_leave_no_doubt(block, count):
    for part in percentiles(summarize([block] * count, 0)):
        assert part.low == part.value == part.high


@settings(max_examples=10, deadline=None)
@given(blocks=grids(), seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_interval(blocks, seed):
    assert summarize(blocks, seed) == summarize(blocks, seed)


def test_whole_blocks_are_drawn():
    # One block in three is slow. Drawn as single samples, the median would never be slow.
    blocks = [[10] * 100, [10] * 100, [20] * 100]
    p50 = summarize(blocks, 0).p50
    assert (p50.value, p50.low, p50.high) == (10, 10, 20)


def test_most_intervals_hold_the_true_median():
    random = np.random.default_rng(7)
    held = 0
    for _ in range(60):
        # What blocks have in common makes up half of the variance, as on a real device.
        blocks = 1000 + 20 * random.standard_normal((16, 1)) + 20 * random.standard_normal((16, 8))
        p50 = summarize(blocks, 0).p50
        held += p50.low <= 1000 <= p50.high
    assert held >= 52


@pytest.mark.parametrize("blocks", [[], [[]], [[1, 2], [3]]])
def test_no_samples_and_unequal_blocks_are_refused(blocks):
    with pytest.raises(ValueError, match=r"."):
        summarize(blocks, 0)


class TestRatio:
    @settings(max_examples=15, deadline=None)
    @given(blocks=grids(), factor=st.sampled_from([1, 2, 8]))
    def test_what_slows_both_down_cancels(self, blocks, factor):
        slower = [[factor * sample for sample in block] for block in blocks]
        found = ratio_of_medians(slower, blocks, 0)
        assert (found.low, found.value, found.high) == (factor, factor, factor)

    @settings(max_examples=15, deadline=None)
    @given(pair=st.tuples(grids(4, 4), grids(4, 4)), seed=st.integers(0, 2**32))
    def test_the_value_is_median_over_median_in_its_interval(self, pair, seed):
        found = ratio_of_medians(*pair, seed)
        assert found.value == np.median(pair[0]) / np.median(pair[1])
        assert found.low <= found.value <= found.high

    def test_rounds_that_only_one_has_do_not_count(self):
        found = ratio_of_medians([[30], [30], [900], [900], [900]], [[10], [10]], 0)
        assert (found.low, found.value, found.high) == (3, 3, 3)
        assert ratio_of_medians([[30]], [[10], [90], [90]], 0).value == 3

    def test_nothing_in_common_is_refused(self):
        with pytest.raises(ValueError, match="no samples"):
            ratio_of_medians([], [[1]], 0)


def test_variation_has_no_unit():
    assert variation([5, 5, 5]) == 0
    assert variation([1, 3]) == 0.5
    assert variation([1000, 3000]) == 0.5
