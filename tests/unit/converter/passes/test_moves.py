"""Chains of moving operators of any kind between convolutions: dissolved right, or left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_ir, run_onnx

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import PASSES

SIDE = 4


def convolved(graph, x, channels, count=3, kernel=1):
    graph.channels[x], graph.sizes[x] = channels, SIDE
    return graph.conv(x, count, kernel)


def start(channels, *, seed=0):
    graph = Graph(size=SIDE, seed=seed)
    return graph, graph.relu(graph.conv("input", channels))


def equal_after_dissolving(proto):
    model = to_ir(proto)
    outcome = PASSES["dissolve_shuffle"].run(model)
    image = noise(SIDE)
    assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5
    return outcome


def sliced(graph, x, axis, begin, end, step=1):
    return graph.add("Slice", x, *(graph.ints(n) for n in (begin, end, axis, step)))[0]


def test_planes_that_begin_within_a_channel_are_no_channels():
    graph, x = start(4)
    x = sliced(graph, graph.reshape(x, 1, 2, 8, 4), 2, 2, 6)
    outcome = equal_after_dissolving(graph.model(convolved(graph, x, 2, kernel=3)))
    assert "whole channels" in outcome.left[0]


@pytest.mark.parametrize(
    ("shape", "whole"), [((1, 4, 2, 8), False), ((1, 2, 8, 4), False), ((1, 4, 4, 4), True)]
)
def test_planes_of_another_height_and_width_are_no_channels(shape, whole):
    graph, x = start(4)
    x = graph.transpose(graph.reshape(x, 1, 2, 2, SIDE, SIDE), 0, 2, 1, 3, 4)
    outcome = equal_after_dissolving(
        graph.model(convolved(graph, graph.reshape(x, *shape), shape[1], kernel=3))
    )
    assert (outcome.left == ()) is whole


def test_channels_of_a_batch_of_two_are_no_row():
    graph, x = start(4)
    y = convolved(graph, graph.reshape(x, 2, 2, SIDE, SIDE), 2, 4)
    outcome = equal_after_dissolving(
        graph.model(convolved(graph, graph.reshape(y, 1, 8, SIDE, SIDE), 8))
    )
    assert "whole channels" in outcome.left[0]


def test_what_is_empty_stays():
    graph, x = start(4)
    x = graph.concat(graph.cut(x, 0, 4), graph.cut(x, 2, 2))
    equal_after_dissolving(graph.model(convolved(graph, x, 4)))


KINDS = ["reshape", "transpose", "slice", "gather", "split", "concat", "window", "window"]


@st.composite
def moved(draw):
    """Convolutions with up to six random moves between them; shapes are kept in step."""
    channels = draw(st.sampled_from([2, 4, 6]))
    graph, x = start(channels, seed=draw(st.integers(0, 2**16)))
    shape = (1, channels, SIDE, SIDE)
    for _ in range(draw(st.integers(1, 6))):
        x, shape = draw(one_move(graph, x, shape))
        if len(shape) == 4 and shape[0] == 1 and shape[2:] == (SIDE, SIDE) and draw(st.booleans()):
            count = draw(st.sampled_from([2, 4]))
            x = graph.relu(convolved(graph, x, shape[1], count, draw(st.sampled_from([1, 3]))))
            shape = (1, count, SIDE, SIDE)
    total = int(np.prod(shape))
    height, width = draw(st.sampled_from([(SIDE, SIDE), (SIDE // 2, SIDE), (1, 1)]))
    if total % (height * width):
        height = width = 1
    x = graph.reshape(x, 1, total // height // width, height, width)
    return graph.model(convolved(graph, x, total // height // width, 3, 3))


@st.composite
def one_move(draw, graph, x, shape):
    kind = draw(st.sampled_from(KINDS))
    axis = draw(st.integers(0, len(shape) - 1))
    size = shape[axis]
    if kind == "reshape":
        shape = draw(st.sampled_from(foldings(shape)))
        return graph.reshape(x, *shape), shape
    if kind == "transpose":
        order = draw(st.permutations(range(len(shape))))
        return graph.transpose(x, *order), tuple(shape[i] for i in order)
    if kind == "window" and shape[0] == 1 and shape[2:] == (SIDE, SIDE) and shape[1] % 2 == 0:
        # As many rows as a channel has, from anywhere in each pair of channels.
        begin, pairs = draw(st.integers(0, SIDE)), shape[1] // 2
        rows = graph.reshape(x, 1, pairs, 2 * SIDE, SIDE)
        return sliced(graph, rows, 2, begin, begin + SIDE), (1, pairs, SIDE, SIDE)
    if kind == "slice":
        begin = draw(st.integers(0, size - 1))
        end, step = draw(st.integers(begin + 1, size)), draw(st.sampled_from([1, 1, 2]))
        return resized(sliced(graph, x, axis, begin, end, step), shape, axis, begin, end, step)
    if kind == "gather":
        order = draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=size + 1))
        made = graph.add("Gather", x, graph.constant(np.array(order)), axis=axis)[0]
        return resized(made, shape, axis, 0, len(order))
    if kind == "split" and size > 1:
        at = draw(st.integers(1, size - 1))
        halves = graph.add("Split", x, graph.ints(at, size - at), outputs=2, axis=axis)
        if draw(st.booleans()):
            return resized(halves[1], shape, axis, at, size)
        return graph.add("Concat", *halves[::-1], axis=axis)[0], shape
    made = graph.add("Concat", x, x, axis=axis)[0]
    return resized(made, shape, axis, 0, 2 * size)


def resized(made, shape, axis, begin, end, step=1):
    return made, (*shape[:axis], len(range(begin, end, step)), *shape[axis + 1 :])


def foldings(shape):
    """Two neighbouring axes joined, or one axis cut in two."""
    joined = [(*shape[:i], shape[i] * shape[i + 1], *shape[i + 2 :]) for i in range(len(shape) - 1)]
    cut = [
        (*shape[:i], part, size // part, *shape[i + 1 :])
        for i, size in enumerate(shape)
        for part in (1, 2, 4)
        if size % part == 0 and len(shape) < 6
    ]
    return [*joined, *cut] or [shape]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(moved())
def test_random_moves_compute_the_same(proto):
    equal_after_dissolving(proto)


def test_probabilities_in_another_layout_are_no_shuffle_that_is_left():
    graph, x = start(4)
    y = graph.transpose(convolved(graph, x, 4, 6), 0, 2, 3, 1)
    y = graph.transpose(graph.add("Softmax", y, axis=3)[0], 0, 3, 1, 2)
    assert equal_after_dissolving(graph.model(y)).left == ()
