"""The error of a layer, with and without channels that equalization moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.metrics import sqnr_db
from edgeshuffle.runner.compare.quantization_error import QuantizationError

RANDOM = np.random.default_rng(3)


def error_of(expected, found, *, same_values):
    error = QuantizationError(same_values=same_values)
    for some in np.array_split(np.arange(expected.shape[1]), 3):
        error.add(expected[:, some], found[:, some])
    return error.sqnr_db()


def test_same_values_are_compared_as_they_are():
    expected = RANDOM.standard_normal((4, 60))
    found = expected + 0.1 * RANDOM.standard_normal((4, 60))
    assert error_of(expected, found, same_values=True) == pytest.approx(sqnr_db(expected, found))
    assert error_of(expected, expected, same_values=True) == math.inf


@given(st.floats(0.1, 10), st.floats(-3, 3))
def test_a_rescaled_and_moved_channel_has_no_error_of_its_own(scale, offset):
    expected = RANDOM.standard_normal((4, 60))
    noise = 0.1 * RANDOM.standard_normal((4, 60))
    scales = np.array([[scale], [1.0], [2.0], [0.5]])
    found = scales * (expected + noise) + offset
    moved = error_of(expected, found, same_values=False)
    assert moved == pytest.approx(error_of(expected, expected + noise, same_values=False))
    # Two numbers a channel are fitted, so it is at most a little better than the plain error.
    plain = error_of(expected, expected + noise, same_values=True)
    assert plain - 1e-9 <= moved < plain + 1


def test_a_channel_that_holds_one_number_explains_nothing_but_the_mean():
    expected = RANDOM.standard_normal((1, 60))
    found = np.full((1, 60), 7.0)
    left = expected - expected.mean()
    want = 10 * math.log10(float(np.sum(expected**2)) / float(np.sum(left**2)))
    assert error_of(expected, found, same_values=False) == pytest.approx(want)


@pytest.mark.parametrize("same_values", [True, False])
def test_what_is_not_finite_is_no_ratio(same_values):
    values = np.ones((2, 6))
    with pytest.raises(ValueError, match="no energies"):
        error_of(values, values * np.nan, same_values=same_values)
