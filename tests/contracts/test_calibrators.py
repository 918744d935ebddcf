from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeshuffle.converter.plan import params_of_range
from edgeshuffle.converter.quant.calibrators import CALIBRATORS

arrays = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-100, 100, width=32))


@pytest.mark.parametrize("name", CALIBRATORS)
@settings(max_examples=30, deadline=None)
@given(batches=st.lists(arrays, min_size=1, max_size=4))
def test_the_range_lies_in_what_was_seen_and_zero(name, batches):
    calibrator = CALIBRATORS[name].make()
    for batch in batches:
        calibrator.update(batch)
    low, high = calibrator.range()
    seen = np.concatenate(batches)
    slack = 1e-4 * (1 + np.abs(seen).max())
    assert low <= high + slack
    assert low >= min(seen.min(), 0) - slack
    assert high <= max(seen.max(), 0) + slack


@pytest.mark.parametrize("name", CALIBRATORS)
@pytest.mark.parametrize("value", [0.0, 3.0, -2.5])
def test_a_constant_gives_usable_parameters(name, value):
    calibrator = CALIBRATORS[name].make()
    calibrator.update(np.full(20, value, np.float32))
    params = params_of_range(*calibrator.range())
    assert params.scale > 0
    back = params.dequantize(params.quantize(np.array([value], np.float32)))[0]
    assert back == pytest.approx(value, abs=abs(value) * 0.02 + 1e-6)


@pytest.mark.parametrize("name", ["minmax", "percentile", "entropy", "mse"])
@settings(max_examples=20, deadline=None)
@given(batches=st.lists(arrays, min_size=2, max_size=4))
def test_the_order_of_images_does_not_matter(name, batches):
    forward, backward = CALIBRATORS[name].make(), CALIBRATORS[name].make()
    for batch in batches:
        forward.update(batch)
    for batch in reversed(batches):
        backward.update(batch)
    assert forward.range() == backward.range()


@pytest.mark.parametrize("name", ["percentile", "entropy"])
def test_a_lone_outlier_is_clipped(name):
    values = np.abs(np.random.default_rng(0).standard_normal(200_000)).astype(np.float32)
    values[0] = 400
    calibrator = CALIBRATORS[name].make()
    calibrator.update(values)
    assert 2 < calibrator.range()[1] < 200


def test_mse_has_less_error_than_minmax():
    values = np.random.default_rng(0).laplace(size=100_000).astype(np.float32)

    def error(name):
        calibrator = CALIBRATORS[name].make()
        calibrator.update(values)
        params = params_of_range(*calibrator.range())
        return np.square(params.dequantize(params.quantize(values)) - values).mean()

    assert error("mse") < 0.9 * error("minmax")


def test_a_moving_average_lies_between_the_images():
    calibrator = CALIBRATORS["moving_average"].make()
    for high in (1.0, 3.0):
        calibrator.update(np.array([-high, high], np.float32))
    low, high = calibrator.range()
    assert 1.9 < high < 2.1
    assert low == -high
