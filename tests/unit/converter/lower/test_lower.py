"""Every rewrite, alone and in the lowerings that were measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import check_lowering
from networks import Graph, noise

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.lower import REWRITES, lower
from edgeshuffle.converter.lower.targets import read_costs
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.precision import conv_names
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.errors import UnknownNameError

IMAGES = [noise(32, seed) for seed in range(8)]
NUMBERS = {
    "pixel_groups": (4,),
    "split_producers": (1, 1),
    **dict.fromkeys(("even_kernels", "conv_padding", "pool_padding"), ()),
}
FILL = (8, 8)


def prepared(proto):
    model = to_ir(proto)
    run_passes(model)
    check_core(model)
    return model


def down(graph, x, channels):
    """A unit of stride 2: one branch reads all by a depthwise convolution, one by a dense one."""
    left = graph.relu(graph.conv(graph.depthwise(x, stride=2), channels))
    right = graph.relu(graph.conv(x, channels))
    right = graph.relu(graph.conv(graph.depthwise(right, stride=2), channels))
    return graph.concat(left, right)


def unit(graph, x, channels):
    kept, y = graph.split(graph.shuffle(x), channels, channels)
    y = graph.conv(graph.depthwise(graph.relu(graph.conv(y, channels))), channels)
    return graph.concat(kept, graph.relu(y))


def network(first=10, size=32, stem=12):
    """A ShuffleNetV2 in small, whose channels fill no tile."""
    graph = Graph(size=size)
    x = graph.max_pool(graph.relu(graph.conv("input", stem, 3, 2)))
    x = down(graph, x, first)
    for _ in range(2):
        x = unit(graph, x, first)
    x = unit(graph, down(graph, x, 2 * first), 2 * first)
    return graph.classifier(graph.relu(graph.conv(x, 3 * first)))


MODEL = prepared(network())
QUANTIZED = quantize(MODEL, IMAGES, load_recipe("fast"))
MEASURED = {
    str(candidate.lowering): candidate.lowering for candidate in read_costs().candidates
}.values()


@pytest.mark.parametrize("name", REWRITES)
def test_each_rewrite_is_made_and_exact(tmp_path, name):
    lowering = {name: NUMBERS.get(name, FILL)}
    assert (
        check_lowering(tmp_path, MODEL, QUANTIZED, lowering, IMAGES)
        == {
            "pixel_groups": {"pixel_groups": 1},
            "even_kernels": {"even_kernels": 5},
            "conv_padding": {"conv_padding": 5},
            "pool_padding": {"pool_padding": 1},
            "split_producers": {"split_producers": 5},
            "middles": {"middles": 5},
            "sliced_outputs": {"sliced_outputs": 5},
            "joined_channels": {"joined_channels": 1},
            "cut_outputs": {"cut_outputs": 2},
        }[name]
    )


@pytest.mark.parametrize("lowering", MEASURED, ids=str)
def test_what_was_measured_is_exact(tmp_path, lowering):
    made = check_lowering(tmp_path, MODEL, QUANTIZED, lowering, IMAGES)
    # Whose convolutions have too few pixels for some.
    assert set(lowering) - set(made) <= {"split_producers"}


def test_layers_left_in_float_are_lowered_too(tmp_path):
    names = conv_names(QUANTIZED.model.graph)
    plan = QUANTIZED.plan.only(names[::2])
    lowering = {name: NUMBERS.get(name, FILL) for name in REWRITES}
    made = lower(QUANTIZED.model, plan, lowering)
    # With even kernels, nothing is left to pad.
    assert set(made.counts) == set(REWRITES) - {"conv_padding"}
    assert len(made.plan.convs) >= len(plan.convs)


def test_the_given_model_and_plan_stay_as_they_are():
    before = g.value_names(QUANTIZED.model.graph), dict(QUANTIZED.plan.convs)
    made = lower(
        QUANTIZED.model, QUANTIZED.plan, {name: NUMBERS.get(name, FILL) for name in REWRITES}
    )
    assert made.model is not QUANTIZED.model
    assert (g.value_names(QUANTIZED.model.graph), dict(QUANTIZED.plan.convs)) == before


def test_values_keep_their_names():
    """But for what is computed in parts, which have names of their own."""
    lowering = {name: NUMBERS.get(name, FILL) for name in REWRITES if name != "split_producers"}
    before = {value.name for node in MODEL.graph for value in node.outputs}
    after = {
        value.name for node in lower(MODEL, None, lowering).model.graph for value in node.outputs
    }
    assert before <= after


def test_an_unknown_rewrite_is_named():
    with pytest.raises(UnknownNameError, match=r"rewrite 'midles'\. Did you mean 'middles'"):
        lower(MODEL, None, {"midles": FILL})


def middle(graph, x):
    return graph.relu(graph.conv(graph.depthwise(x), 6))


def left_alone(graph, which):
    """A classifier in which a value of 5 channels must keep them."""
    x = graph.conv("input", 5, 3)
    y = graph.relu(graph.conv(x, 5))
    others = []
    if which == "an output":
        others = [y]
    elif which == "a sum":
        y = graph.both("Add", y, x)
    elif which == "groups":
        y = graph.grouped(graph.concat(y, x), 10, 2)
    elif which == "a first part":
        y = graph.concat(y, x)
    elif which == "a slope a channel":
        slope = graph.constant(np.full((5, 1, 1), 0.5, np.float32))
        y = graph._like(graph.add("PRelu", graph.conv(x, 5), slope)[0], x)
    return graph.classifier(middle(graph, y), others=others)


@pytest.mark.parametrize(
    "which", ["an output", "a sum", "groups", "a first part", "a slope a channel"]
)
def test_what_cannot_be_proved_is_left(which):
    model = prepared(left_alone(Graph(size=9), which))
    fill = dict.fromkeys(("middles", "sliced_outputs", "joined_channels"), FILL)
    made = lower(model, None, fill)
    dense = [node for node in model.graph if node.op_type == "Conv"][1]
    kept = next(node for node in made.model.graph if node.name == dense.name)
    assert g.shape_of(kept.outputs[0]) == g.shape_of(dense.outputs[0])


def test_a_pool_of_what_may_be_negative_is_left():
    graph = Graph(size=12)
    model = prepared(graph.classifier(graph.max_pool(graph.conv("input", 4, 3, 2))))
    assert lower(model, None, {"pool_padding": ()}).counts == {}


@pytest.mark.parametrize(("size", "stride", "group"), [(13, 2, 2), (16, 1, 2), (18, 2, 4)])
def test_pixels_that_make_no_whole_groups_are_left(size, stride, group):
    graph = Graph(size=size)
    model = prepared(graph.classifier(graph.relu(graph.conv("input", 4, 3, stride))))
    assert lower(model, None, {"pixel_groups": (group,)}).counts == {}


def test_all_rewrites_together_are_exact(tmp_path):
    lowering = {name: NUMBERS.get(name, (8, 2)) for name in REWRITES}
    check_lowering(tmp_path, MODEL, QUANTIZED, lowering, IMAGES[:2])


@settings(max_examples=15, deadline=None)
@given(
    first=st.integers(3, 11),
    size=st.sampled_from([16, 20, 24, 25, 32]),
    stem=st.integers(3, 9),
    group=st.sampled_from([2, 4]),
    tile=st.sampled_from([2, 4, 8, 16]),
    unless=st.sampled_from([2, 4, 8]),
    names=st.sets(st.sampled_from(list(REWRITES)), min_size=1),
)
def test_any_lowering_of_any_width_is_exact(
    tmp_path_factory, first, size, stem, group, tile, unless, names
):
    model = prepared(network(first, size, stem))
    images = [noise(size, seed) for seed in range(4)]
    quantized = quantize(model, images, load_recipe("fast"))
    numbers = {**NUMBERS, "pixel_groups": (group,), "split_producers": (1, tile)}
    lowering = {name: numbers.get(name, (tile, unless)) for name in names}
    check_lowering(tmp_path_factory.mktemp("lowered"), model, quantized, lowering, images)
