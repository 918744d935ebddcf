"""Metrics against plain definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeshuffle.metrics import agreement, paired_drop, ranks, sqnr_db, standard_error

# Few distinct values, so that equal logits are common, as with int8.
LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 8)),
    elements=st.integers(-3, 3).map(float),
)


@given(LOGITS, st.data())
def test_ranks_are_positions_in_the_stable_sort(logits, data):
    n, classes = logits.shape
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)))
    for row, label, rank in zip(logits, labels, ranks(logits, labels), strict=True):
        assert sorted(range(classes), key=lambda c: -row[c])[rank] == label


def test_agreement_counts_equal_largest_classes():
    reference = np.array([[0.0, 1], [1, 0], [1, 0], [0, 1]])
    assert agreement(reference, 5 * reference - 1) == 100
    assert agreement(reference, np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])) == 75


def test_sqnr_of_a_known_error():
    reference = np.array([[3.0, 4.0]])
    assert sqnr_db(reference, reference * 1.1) == pytest.approx(20)
    assert sqnr_db(reference, reference) == math.inf
    assert sqnr_db(np.zeros(2), np.ones(2)) == -math.inf


@given(
    hnp.arrays(np.float32, 20, elements=st.floats(1, 100, width=32)),
    st.floats(0.01, 100),
    st.floats(0.01, 1),
)
def test_sqnr_does_not_depend_on_the_scale(reference, scale, error):
    noise = np.resize([error, -error], 20)
    one = sqnr_db(reference.astype(float), reference + noise)
    other = sqnr_db(scale * reference.astype(float), scale * (reference + noise))
    assert one == pytest.approx(other, abs=1e-6)
    half = sqnr_db(reference.astype(float), reference + noise / 2)
    assert half - one == pytest.approx(20 * math.log10(2), abs=1e-6)


def test_sqnr_sums_in_double_precision():
    reference = np.full(1 << 22, 0.1, np.float32)
    assert sqnr_db(reference, reference * np.float32(0.5)) == pytest.approx(20 * math.log10(2))


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_standard_error_is_the_deviation_over_root_n(right):
    expected = 100 * np.std(right) / math.sqrt(len(right))
    assert standard_error(100 * np.mean(right), len(right)) == pytest.approx(expected, abs=1e-5)


def test_standard_error_of_the_data_note():
    # 90.65 % of 10,000 images: data.md states 0.29.
    assert round(standard_error(90.65, 10_000), 2) == 0.29


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_a_paired_drop_is_that_of_the_two_shares(pairs):
    before, after = np.array(pairs).T
    drop, error = paired_drop(before, after)
    assert drop == pytest.approx(100 * (before.mean() - after.mean()), abs=1e-9)
    # Images that both are right or wrong about tell nothing apart.
    assert (error == 0) == (len(set((before.astype(int) - after).tolist())) == 1)
    assert (
        error
        <= standard_error(100 * before.mean(), len(pairs))
        + standard_error(100 * after.mean(), len(pairs))
        + 1e-9
    )
