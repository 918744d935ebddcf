from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_all, run_ir, run_onnx
from random_graphs import FORMS, unit

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import PASSES, run_passes
from edgeshuffle.converter.passes.dissolve_shuffle.trace import is_move


def dissolve(proto):
    model = to_ir(proto)
    return model, PASSES["dissolve_shuffle"].run(model)


def ops(model):
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize("form", FORMS)
def test_every_spelling_of_a_stage_dissolves_to_splits_and_concats(form):
    graph = Graph()
    x = graph.relu(graph.conv("input", 16))
    x = unit(graph, x, form, down=True)
    for _ in range(3):
        x = unit(graph, x, form)
    proto = graph.classifier(graph.relu(graph.conv(x, 12)))
    model, outcome = dissolve(proto)
    assert outcome.rewrites > 0
    assert outcome.left == ()
    assert not {"Reshape", "Transpose", "Gather"} & set(ops(model))
    image = noise(8)
    assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5


def test_the_authors_shuffle_and_split_in_one_dissolves():
    graph = Graph()
    x = graph.relu(graph.conv("input", 16))
    for _ in range(3):
        even, odd = graph.deinterleave(x)
        y = graph.relu(graph.conv(graph.depthwise(graph.relu(graph.conv(odd, 8))), 8))
        x = graph.concat(even, y)
    proto = graph.classifier(graph.relu(graph.conv(x, 12)))
    model, outcome = dissolve(proto)
    assert outcome.left == ()
    assert not {"Reshape", "Transpose", "Gather"} & set(ops(model))
    image = noise(8)
    assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5


def test_a_shuffle_before_a_convolution_costs_nothing():
    graph = Graph()
    x = graph.shuffle(graph.relu(graph.conv("input", 8)))
    proto = graph.classifier(graph.conv(x, 4))
    model, _ = dissolve(proto)
    assert sum(is_move(node) for node in model.graph) == 1  # the classifier's Flatten


def test_a_graph_without_moves_is_left_alone():
    graph = Graph()
    proto = graph.model(graph.relu(graph.conv("input", 8)))
    model = to_ir(proto)
    before = ops(model)
    outcome = PASSES["dissolve_shuffle"].run(model)
    assert outcome.rewrites == 0
    assert ops(model) == before


def test_a_second_run_finds_nothing():
    graph = Graph()
    x = graph.relu(graph.conv("input", 16))
    for _ in range(3):
        x = unit(graph, x, "5d")
    model, _ = dissolve(graph.classifier(graph.conv(x, 4)))
    assert PASSES["dissolve_shuffle"].run(model).rewrites == 0


def test_what_does_not_move_whole_channels_stays_and_says_why():
    graph = Graph()
    x = graph.relu(graph.conv("input", 8))
    turned = graph.transpose(x, 0, 1, 3, 2)
    graph.channels[turned], graph.sizes[turned] = 8, 8
    y = graph.shuffle(graph.conv(turned, 8))
    proto = graph.classifier(graph.conv(y, 4))
    model, outcome = dissolve(proto)
    assert "Transpose" in ops(model)
    assert "Reshape" not in ops(model)
    assert len(outcome.left) == 1
    assert "whole channels" in outcome.left[0]
    image = noise(8)
    assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5


def test_a_grouped_convolution_gets_its_channels_in_order():
    graph = Graph()
    x = graph.relu(graph.conv("input", 8))
    x = graph.shuffle(x)
    proto = graph.classifier(graph.conv(graph.grouped(x, 8, 2), 4))
    model, _ = dissolve(proto)
    image = noise(8)
    assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5


def test_a_shuffled_output_keeps_its_order():
    graph = Graph()
    proto = graph.model(graph.shuffle(graph.relu(graph.conv("input", 8))))
    model, _ = dissolve(proto)
    image = noise(8)
    np.testing.assert_array_equal(run_onnx(proto, image), run_ir(model, image))


STEPS = ["unit", "down", "relu", "shuffle", "cut", "strided", "pool", "twice", "author", "conv"]


@st.composite
def shufflenet_like(draw):
    """A random chain of units, cuts, shuffles in any spelling and operators in between."""
    graph = Graph(size=draw(st.sampled_from([5, 8])), seed=draw(st.integers(0, 2**16)))
    x = graph.conv("input", 2 * draw(st.integers(2, 8)))
    for _ in range(draw(st.integers(1, 5))):
        step = draw(st.sampled_from(STEPS))
        form = draw(st.sampled_from(FORMS))
        channels = graph.channels[x]
        if step in ("unit", "down") and channels % 2 == 0:
            x = unit(graph, x, form, down=step == "down" and graph.sizes[x] > 2)
        elif step == "relu":
            x = graph.relu(x)
        elif step == "shuffle":
            groups = draw(st.sampled_from([d for d in (1, 2, 3, 4) if channels % d == 0]))
            x = graph.shuffle(x, form, groups)
        elif step == "cut" and channels > 3:
            at = draw(st.integers(1, channels - 1))
            a, b = graph.cut(x, 0, at), graph.cut(x, at, channels)
            x = graph.concat(graph.relu(b), a)
        elif step == "strided" and channels % 2 == 0:
            a, b = graph.cut(x, 0, channels, 2), graph.cut(x, 1, channels, 2)
            x = graph.concat(graph.depthwise(b), graph.conv(a, channels // 2))
        elif step == "pool" and graph.sizes[x] > 2:
            x = graph.max_pool(x)
        elif step == "twice":
            x = graph.concat(x, graph.relu(x))
        elif step == "author" and channels % 2 == 0:
            even, odd = graph.deinterleave(x)
            x = graph.concat(graph.conv(odd, channels // 2), even)
        elif step == "conv":
            x = graph.conv(x, 2 * draw(st.integers(2, 8)), 3)
    if draw(st.booleans()):
        return graph, graph.model(graph.shuffle(x) if graph.channels[x] % 2 == 0 else x)
    return graph, graph.classifier(x)


def test_the_name_of_an_output_that_is_rearranged_at_the_end_goes_with_it():
    """Simplified, the first shuffle's reader gives the output: the two others undo each other."""
    graph = Graph(size=5)
    left, right = graph.split(graph.conv("input", 6), 3, 3)
    right = graph.conv(graph.depthwise(graph.relu(graph.conv(right, 3))), 3)
    right = graph.relu(right)
    x = graph.relu(graph.shuffle(graph.concat(left, right)))
    proto = graph.model(graph.shuffle(graph.shuffle(x, groups=3)))
    image = noise(5)
    model = to_ir(proto)
    run_passes(model)
    assert [value.name for value in model.graph.outputs] == [proto.graph.output[0].name]
    assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5


def test_two_outputs_that_are_equal_keep_their_names():
    graph = Graph()
    x = graph.conv("input", 8)
    twice = graph.shuffle(graph.shuffle(x), groups=4)
    proto = graph.model(graph.relu(twice), x, twice)
    image = noise(8)
    expected = run_all(proto, image)
    model = to_ir(proto)
    run_passes(model)
    found = run_all(model, image)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(shufflenet_like())
def test_random_graphs_compute_the_same(drawn):
    graph, proto = drawn
    image = noise(graph.size)
    reference = run_onnx(proto, image)
    model = to_ir(proto)
    moves = sum(is_move(node) for node in model.graph)
    run_passes(model)
    assert relative_error(reference, run_ir(model, image)) < 1e-5
    outcome = PASSES["dissolve_shuffle"].run(model)
    assert outcome.rewrites == 0
    # gemm_to_conv may bring a Reshape of its own where nothing could be dissolved.
    assert sum(is_move(node) for node in model.graph) <= moves + 1
