"""Pixels become just the integers that normalised and quantized values would be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeshuffle.artifact import Preprocess
from edgeshuffle.converter.export.pixel_grid import levels_of, other_levels, pixel_conv
from edgeshuffle.converter.plan import QParams, params_of_range

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def prepared(mean, std):
    return Preprocess(resize=8, crop=(8, 8), mean=mean, std=std)


def wanted(preprocess, params):
    """Of every pixel in every channel, by what the dataset does."""
    pixels = np.arange(256, dtype=np.float32)[None] / np.float32(255)
    mean, std = (np.float32(values)[:, None] for values in (preprocess.mean, preprocess.std))
    return params.quantize((pixels - mean) / std)


def convolved(conv, params):
    """As the TFLite 8-bit specification says: int32 sums, one factor a channel."""
    sums = np.arange(256)[None] * conv.weight.reshape(-1, 1).astype(np.int32) + conv.bias[:, None]
    factors = conv.scales / np.float32(params.scale)
    steps = np.rint(sums.astype(np.float32) * factors[:, None]) + params.zero_point
    return np.clip(steps, -128, 127)


@pytest.mark.parametrize(
    ("mean", "std"), [IMAGENET, ((0.0,) * 3, (1.0,) * 3), ((0.4, 0.5, 0.6), (0.3, 0.2, 0.1))]
)
@pytest.mark.parametrize("share", [1.0, 0.93, 0.83, 0.47])
def test_every_pixel_becomes_the_same_integer(mean, std, share):
    preprocess = prepared(mean, std)
    low = min((0 - m) / s for m, s in zip(mean, std, strict=True))
    high = max((1 - m) / s for m, s in zip(mean, std, strict=True))
    params = params_of_range(share * low, share * high)
    conv = pixel_conv(preprocess, params)
    np.testing.assert_array_equal(convolved(conv, params), wanted(preprocess, params))
    assert other_levels(preprocess, params) == 0
    np.testing.assert_array_equal(
        levels_of(preprocess, params), params.dequantize(wanted(preprocess, params))
    )


@settings(max_examples=40, deadline=None)
@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 1)] * 3),
    scale=st.floats(0.002, 0.1),
    zero_point=st.integers(-128, 127),
)
def test_what_is_told_of_others_is_what_the_convolution_makes(mean, std, scale, zero_point):
    preprocess = prepared(mean, std)
    params = QParams(float(np.float32(scale)), zero_point)
    made = convolved(pixel_conv(preprocess, params), params)
    differ = made != wanted(preprocess, params)
    assert differ.sum() == other_levels(preprocess, params)
    assert np.abs(made - wanted(preprocess, params)).max() <= 1
    np.testing.assert_array_equal(levels_of(preprocess, params), params.dequantize(made))


def test_a_grid_of_ties_is_told():
    # Every pixel lies between two integers, and float32 decides.
    params = QParams(float(np.float32(2 / 255)), 0)
    assert other_levels(prepared((0.5,) * 3, (0.5,) * 3), params) > 0
