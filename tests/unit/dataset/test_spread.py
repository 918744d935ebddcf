"""A limit of images is spread over the set."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.dataset import spread


class TestSpread:
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.data())
    def test_is_proportional_nested_and_repeatable(self, strata, data):
        strata = np.array(strata)
        limit = data.draw(st.integers(1, len(strata)))
        chosen = spread(strata, limit)
        assert len(chosen) == limit
        assert np.all(np.diff(chosen) > 0)
        np.testing.assert_array_equal(chosen, spread(strata, limit))
        if limit > 1:
            assert set(spread(strata, limit - 1)) < set(chosen)

    @given(st.integers(1, 20), st.integers(1, 10), st.data())
    def test_takes_equally_from_equal_classes(self, classes, size, data):
        strata = np.repeat(np.arange(classes), size)
        limit = data.draw(st.integers(1, classes * size))
        counts = np.bincount(strata[spread(strata, limit)], minlength=classes)
        assert np.ptp(counts) == (limit % classes > 0)

    def test_takes_more_from_a_larger_class(self):
        strata = np.repeat([0, 1], [900, 100])
        assert np.bincount(strata[spread(strata, 100)]).tolist() in ([90, 10], [91, 9], [89, 11])

    def test_is_not_the_first_ones(self):
        chosen = spread(np.zeros(1000, np.int64), 100)
        assert chosen[-1] > 900
        assert 300 < np.median(chosen) < 700

    def test_stays_the_same_in_later_versions(self):
        assert spread(np.repeat([0, 1], 10), 4).tolist() == [0, 9, 15, 18]
