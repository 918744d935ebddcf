from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from networks import Graph, noise

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.plan import QMAX, QMIN, QParams, params_of_range
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.assign import quantize_conv
from edgeshuffle.converter.quant.calibrators.histogram import MAX_BINS, Histogram
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.converter.quant.ties import tie
from edgeshuffle.errors import DataError

reals = st.floats(-1e4, 1e4, width=32)


@given(reals, reals)
def test_a_range_is_covered_and_zero_is_exact(a, b):
    low, high = min(a, b), max(a, b)
    params = params_of_range(low, high)
    assert QMIN <= params.zero_point <= QMAX
    assert params.dequantize(np.array([params.zero_point], np.int8))[0] == 0
    reach = params.dequantize(np.array([QMIN, QMAX], np.int8))
    slack = params.scale * 0.51
    assert reach[0] <= min(low, 0) + slack
    assert reach[1] >= max(high, 0) - slack


def test_a_range_above_zero_uses_every_level():
    assert params_of_range(0.5, 6.0) == params_of_range(0.0, 6.0)
    assert params_of_range(0.0, 6.0).zero_point == QMIN


@given(hnp.arrays(np.float32, 16, elements=st.floats(-10, 10, width=32)), st.floats(0.01, 1))
def test_rounding_is_within_half_a_step(values, scale):
    params = QParams(float(np.float32(scale)), 3)
    inside = np.clip(values, (QMIN - 3) * params.scale, (QMAX - 3) * params.scale)
    error = np.abs(params.dequantize(params.quantize(inside)) - inside)
    assert error.max() <= params.scale * 0.5001


@settings(max_examples=60)
@given(
    hnp.arrays(np.float32, (4, 3, 1, 1), elements=st.floats(-3, 3, width=32)),
    hnp.arrays(np.float64, 4, elements=st.floats(-50, 50)),
    st.floats(1e-4, 1),
    st.floats(1e-4, 1),
)
def test_weights_and_biases_are_within_half_a_step(weight, bias, source, result):
    conv = quantize_conv(weight, bias, QParams(source, 0), QParams(result, 0))
    back = conv.weight * conv.scales.reshape(-1, 1, 1, 1)
    assert (np.abs(back - weight) <= conv.scales.reshape(-1, 1, 1, 1) * 0.501).all()
    real_bias = conv.bias * conv.bias_scales.astype(np.float64)
    assert (np.abs(real_bias - bias) <= conv.bias_scales * 0.501 + np.abs(bias) * 1e-6).all()
    assert (conv.scales * source / result >= 2.0**-33).all()


def test_a_dead_channel_with_a_bias_keeps_it():
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[1] = 1
    conv = quantize_conv(weight, np.array([7.0, 0.0]), QParams(0.1, 0), QParams(0.1, 0))
    assert conv.bias[0] * conv.bias_scales[0] == pytest.approx(7.0)


def graph_with_ties():
    graph = Graph()
    x = graph.relu(graph.conv("input", 8))
    a, b = graph.split(x, 4, 4)
    y = graph.relu(graph.conv(b, 4))
    return graph.classifier(graph.conv(graph.max_pool(graph.concat(a, y)), 4))


def test_what_is_moved_shares_one_scale_and_what_is_computed_does_not():
    model = to_ir(graph_with_ties())
    run_passes(model)
    plan = quantize(model, [noise(8)], load_recipe("fast", "minmax")).plan
    for node in model.graph:
        if node.op_type in ("Concat", "Split", "MaxPool", "Flatten"):
            values = [v for v in (*node.inputs, *node.outputs) if v.name in plan.activations]
            assert len({plan.activations[v.name] for v in values}) == 1
    assert len(set(plan.activations.values())) == len(tie(model.graph))


def test_a_shared_scale_covers_all_that_share_it():
    model = to_ir(graph_with_ties())
    run_passes(model)
    images = [noise(8, seed) for seed in range(4)]
    plan = quantize(model, images, load_recipe("fast", "minmax")).plan
    for group in tie(model.graph):
        assert group.sources
        assert {plan.activations[v.name] for v in group.members} == {
            plan.activations[group.sources[0].name]
        }


def test_no_images_is_an_error():
    model = to_ir(graph_with_ties())
    run_passes(model)
    with pytest.raises(DataError, match="calibration images"):
        quantize(model, [], load_recipe("fast", "minmax"))


batches = st.lists(
    hnp.arrays(
        np.float32,
        st.integers(1, 30),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    ),
    min_size=1,
    max_size=5,
)


@given(batches)
def test_a_histogram_counts_everything_where_it_belongs(arrays):
    histogram = Histogram()
    for array in arrays:
        histogram.update(array)
    values = np.concatenate(arrays).astype(np.float64)
    assert len(histogram.counts) <= MAX_BINS
    places = np.floor(values / histogram.width).astype(np.int64) - histogram.first
    np.testing.assert_array_equal(
        histogram.counts, np.bincount(places, minlength=len(histogram.counts))
    )


def test_a_histogram_of_some_values_has_the_extremes_of_all():
    histogram = Histogram()
    histogram.update(np.array([1, -7, 2, 9, 3], np.float32), slice(None, None, 2))
    assert (histogram.low, histogram.high, histogram.counts.sum()) == (-7, 9, 3)


@given(batches, st.randoms())
def test_a_histogram_does_not_depend_on_the_order(arrays, random):
    first, second = Histogram(), Histogram()
    for array in arrays:
        first.update(array)
    random.shuffle(arrays)
    for array in arrays:
        second.update(array)
    assert (first.exponent, first.first) == (second.exponent, second.first)
    np.testing.assert_array_equal(first.counts, second.counts)
