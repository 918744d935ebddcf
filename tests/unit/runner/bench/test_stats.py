from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeshuffle.runner.bench.stats import ratio_of_medians, summarize, variation

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
@given(blocks=grids())
def test_values_are_numpys_and_lie_in_their_intervals(blocks):
    found = summarize(blocks)
    samples = np.ravel(blocks)
    expected = np.percentile(samples, (50, 90, 99))
    assert [part.value for part in percentiles(found)] == pytest.approx(list(expected))
    assert (found.n, found.minimum, found.maximum) == (samples.size, samples.min(), samples.max())
    assert found.mean == pytest.approx(samples.mean())
    assert found.cv == pytest.approx(samples.std() / samples.mean())
    for part in percentiles(found):
        assert (part.low is None) == (part.high is None)
        if part.low is not None:
            assert found.minimum <= part.low <= part.value <= part.high <= found.maximum


@settings(max_examples=20, deadline=None)
@given(blocks=grids(), factor=st.integers(2, 1000))
def test_scaled_samples_have_scaled_results(blocks, factor):
    before = summarize(blocks)
    after = summarize([[factor * sample for sample in block] for block in blocks])
    assert after.cv == pytest.approx(before.cv)
    assert after.mean == pytest.approx(factor * before.mean)
    for one, other in zip(percentiles(before), percentiles(after), strict=True):
        assert other.value == pytest.approx(factor * one.value)
        if one.low is None:
            assert other.low is None
            continue
        assert other.low == pytest.approx(factor * one.low)
        assert other.high == pytest.approx(factor * one.high)


@settings(max_examples=20, deadline=None)
@given(block=st.lists(times, min_size=5, max_size=12), count=st.integers(2, 20))
def test_identical_blocks_leave_no_doubt(block, count):
    p50 = summarize([block] * count).p50
    assert p50.low == p50.value == p50.high


def test_intervals_respect_blocks():
    random = np.random.default_rng(7)
    noise = 20 * random.standard_normal((16, 8))
    alike = summarize(1000 + noise).p50
    effect = summarize(1000 + noise + 40 * random.standard_normal((16, 1))).p50
    assert effect.high - effect.low > 2 * (alike.high - alike.low)


def test_a_slow_drift_is_no_noise():
    random = np.random.default_rng(7)
    drifting = 1000 + 20 * random.standard_normal((32, 32)) + np.linspace(-40, 40, 32)[:, None]
    in_order = summarize(drifting).p50
    shuffled = summarize(random.permutation(drifting)).p50
    assert in_order.value == shuffled.value
    assert in_order.high - in_order.low < 0.5 * (shuffled.high - shuffled.low)


@pytest.mark.parametrize(
    ("blocks", "size", "told"),
    [
        (1, 1000, ()),
        (2, 4, ()),
        (4, 8, ("p50",)),
        (16, 8, ("p50", "p90")),
        (15, 32, ("p50", "p90")),
        (32, 32, ("p50", "p90", "p99")),
    ],
)
def test_too_few_samples_have_no_interval(blocks, size, told):
    times = 1000 + np.random.default_rng(0).random((blocks, size))
    found = summarize(times)
    names = ("p50", "p90", "p99")
    assert tuple(name for name in names if getattr(found, name).low is not None) == told


def test_a_bound_past_all_samples_is_told_only_where_they_are_worth_enough():
    # Of each block all samples are the same, so 24 of them are worth no more than four.
    found = summarize([[value] * 6 for value in (10, 40, 20, 30)]).p50
    assert (found.value, found.low, found.high) == (25, None, None)


@pytest.mark.parametrize("blocks", [[], [[]], [[1, 2], [3]]])
def test_no_samples_and_unequal_blocks_are_refused(blocks):
    with pytest.raises(ValueError, match=r"."):
        summarize(blocks)


class TestRatio:
    @settings(max_examples=15, deadline=None)
    @given(blocks=grids(least=2), factor=st.sampled_from([1, 2, 8]))
    def test_what_slows_both_down_cancels(self, blocks, factor):
        slower = [[factor * sample for sample in block] for block in blocks]
        found = ratio_of_medians(slower, blocks)
        assert found.value == factor
        assert (found.low, found.high) == pytest.approx((factor, factor))

    @settings(max_examples=15, deadline=None)
    @given(pair=st.tuples(grids(4, 4), grids(4, 4)), paired=st.booleans())
    def test_the_value_is_median_over_median_in_its_interval(self, pair, paired):
        found = ratio_of_medians(*pair, paired=paired)
        assert found.value == np.median(pair[0]) / np.median(pair[1])
        assert found.low <= found.value <= found.high

    def test_rounds_that_only_one_has_do_not_count(self):
        found = ratio_of_medians([[30], [30], [900], [900], [900]], [[10], [10]])
        assert (found.low, found.value, found.high) == (3, 3, 3)

    def test_one_round_has_no_interval(self):
        found = ratio_of_medians([[30]], [[10], [90], [90]])
        assert (found.low, found.value, found.high) == (None, 3, None)
        assert not found.excludes(1)

    def test_one_block_that_was_disturbed_does_not_widen_it_much(self):
        random = np.random.default_rng(3)
        above, below = 1000 + 20 * random.random((2, 16, 8))
        calm = ratio_of_medians(above, below)
        above[5] *= 10
        disturbed = ratio_of_medians(above, below)
        assert disturbed.high - disturbed.low < 2 * (calm.high - calm.low)

    def test_nothing_in_common_is_refused(self):
        with pytest.raises(ValueError, match="no samples"):
            ratio_of_medians([], [[1]])


def test_variation_has_no_unit():
    assert variation([5, 5, 5]) == 0
    assert variation([1, 3]) == 0.5
    assert variation([1000, 3000]) == 0.5
