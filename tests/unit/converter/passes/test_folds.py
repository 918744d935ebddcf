"""Activations that are spelled out, and what convolutions and pools take over from others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_ir, run_onnx

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.passes import run_passes

SIZE = 9


def number(graph, value):
    return graph.constant(np.float32(value))


def clipped(graph, x, low=0.0, high=6.0):
    return graph.add("Clip", x, number(graph, low), number(graph, high))[0]


def raised(graph, x, swapped, by="Add"):
    operands = [x, number(graph, 3 if by == "Add" else -3)]
    return graph.add(by, *(operands[::-1] if swapped and by == "Add" else operands))[0]


def sixth(graph, x, way):
    if way == "Div":
        return graph.add("Div", x, number(graph, 6))[0]
    return graph.add("Mul", number(graph, 1 / 6), x)[0]


def hard_sigmoid(graph, x, swapped, by, way):
    return sixth(graph, clipped(graph, raised(graph, x, swapped, by)), way)


def hard_swish(graph, x, swapped, by, way, order):
    if order == "gate":
        gate = hard_sigmoid(graph, x, swapped, by, way)
        return graph.add("Mul", *((gate, x) if swapped else (x, gate)))[0]
    inner = clipped(graph, raised(graph, x, swapped, by))
    if order == "x first":
        return graph.add("Mul", sixth(graph, x, way), inner)[0]
    return sixth(graph, graph.add("Mul", *((inner, x) if swapped else (x, inner)))[0], way)


def kinds(proto, size=SIZE):
    """The operators that the passes leave, in a model that computes the same."""
    model = to_ir(proto)
    run_passes(model)
    check_core(model)
    for seed in range(3):
        image = noise(size, seed)
        assert relative_error(run_onnx(proto, image), run_ir(model, image)) < 1e-5
    return [node.op_type for node in model.graph]


# Factors before a convolution are gone before the passes see them.
STEM, REST = ["Conv"], ["MaxPool", "Conv", "GlobalAveragePool", "Conv", "Flatten"]


def followed(graph, x):
    return graph.classifier(graph.conv(graph.max_pool(x), 4))


SPELLINGS = list(itertools.product([False, True], ["Add", "Sub"], ["Div", "Mul"]))


@pytest.mark.parametrize("order", ["gate", "x first", "sixth last"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_hard_swish(spelling, order):
    graph = Graph(size=SIZE)
    x = graph.conv("input", 6, 3, 2)
    y = graph._like(hard_swish(graph, x, *spelling, order), x)
    assert kinds(followed(graph, y)) == [*STEM, "HardSwish", *REST]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_hard_sigmoid(spelling):
    graph = Graph(size=SIZE)
    x = graph.conv("input", 6, 3, 2)
    y = graph._like(hard_sigmoid(graph, x, *spelling), x)
    assert kinds(followed(graph, y)) == [*STEM, "HardSigmoid", *REST]


def test_a_sixth_that_is_already_in_the_next_weights():
    graph = Graph(size=SIZE)
    x = graph.conv("input", 6, 3, 2)
    y = graph.add("Mul", x, clipped(graph, raised(graph, x, swapped=False)))[0]
    found = kinds(graph.classifier(graph.conv(graph._like(y, x), 4)))
    assert found == [*STEM, "HardSwish", *REST[1:]]


@pytest.mark.parametrize(
    ("spell", "kind"),
    [
        (lambda g, x: g.add("HardSwish", x)[0], "HardSwish"),
        (lambda g, x: g.add("Mul", x, g.add("HardSigmoid", x, alpha=1 / 6)[0])[0], "HardSwish"),
        (lambda g, x: g.add("Clip", x, number(g, 0))[0], "Relu"),
        (lambda g, x: clipped(g, x, 0, 3e38), "Relu"),
        (lambda g, x: clipped(g, g.add("Relu", x)[0], -1, 6), "Clip"),
    ],
)
def test_other_spellings(spell, kind):
    graph = Graph(size=SIZE)
    x = graph.conv("input", 6, 3, 2)
    assert kinds(followed(graph, graph._like(spell(graph, x), x))) == [*STEM, kind, *REST]


def test_a_near_miss_is_no_spelling():
    """x min(max(x + 3, 0), 6.1) / 6, and a HardSwish of two values."""
    graph = Graph(size=SIZE)
    x, y = graph.conv("input", 6), graph.conv("input", 6)
    inner = clipped(graph, raised(graph, x, swapped=False))
    other = graph.add("Mul", y, inner)[0]
    wider = clipped(graph, raised(graph, x, swapped=False), 0, 6.1)
    near = sixth(graph, graph.add("Mul", x, wider)[0], "Div")
    z = graph._like(graph.add("Add", sixth(graph, other, "Div"), near)[0], x)
    assert "HardSwish" not in kinds(graph.classifier(graph.conv(z, 4)))


@settings(max_examples=40, deadline=None)
@given(
    chain=st.lists(
        st.tuples(
            st.sampled_from(["Mul", "Add", "Sub", "Div"]),
            st.sampled_from(["number", "channel", "channel of 4"]),
        ),
        min_size=1,
        max_size=4,
    ),
    before=st.sampled_from(["conv", "depthwise", "grouped", "relu", "input"]),
    kernel=st.sampled_from([1, 3]),
)
def test_factors_and_offsets(chain, before, kernel):
    graph = Graph(size=SIZE)
    x = "input"
    if before != "input":
        x = graph.conv("input", 6, 3, 2)
        x = graph.depthwise(x) if before == "depthwise" else x
        x = graph.grouped(x, 6, 2) if before == "grouped" else x
        x = graph.relu(x) if before == "relu" else x
    for op, shape in chain:
        c = graph.channels[x]
        sizes = {"number": (), "channel": (c, 1, 1), "channel of 4": (1, c, 1, 1)}[shape]
        array = graph.random.uniform(0.5, 2, sizes).astype(np.float32)
        x = graph._like(graph.add(op, x, graph.constant(array))[0], x)
    proto = graph.classifier(graph.relu(graph.conv(x, 4, kernel)))
    found = kinds(proto)
    assert not {"Div", "Sub"} & set(found)
    if before in ("conv", "depthwise", "grouped"):
        assert not {"Add", "Mul"} & set(found)
    if kernel == 1:
        assert "Add" not in found
        assert "Mul" not in found


def test_a_batch_norm_of_anything_is_written_as_a_convolution():
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 6, 3, 2))
    numbers = [graph.constant(graph.random.uniform(0.5, 2, 6).astype(np.float32)) for _ in "1234"]
    x = graph.relu(graph._like(graph.add("BatchNormalization", x, *numbers)[0], x))
    found = kinds(graph.classifier(graph.conv(x, 4, 3)))
    assert found == [
        *("Conv", "Relu", "Conv", "Relu", "Conv", "GlobalAveragePool", "Conv", "Flatten")
    ]


@pytest.mark.parametrize(
    ("reader", "filler", "folded"),
    [
        (lambda g, x: g.conv(x, 4, 3, 2), 0, True),
        (lambda g, x: g.depthwise(x, 3, 2), 0, True),
        (lambda g, x: g.max_pool(g.relu(x)), 0, False),
        (lambda g, x: pool(g, x, "MaxPool"), 0, True),
        (lambda g, x: pool(g, x, "MaxPool"), -np.inf, True),
        (lambda g, x: pool(g, x, "AveragePool"), 0, True),
    ],
)
def test_padding(reader, filler, folded):
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 4))
    amounts = graph.ints(0, 0, 1, 0, 0, 0, 1, 2)
    y = graph._like(graph.add("Pad", x, amounts, number(graph, filler))[0], x)
    found = kinds(graph.classifier(graph.conv(graph._like(reader(graph, y), x, 4), 4)))
    assert ("Pad" not in found) is folded


def pool(graph, x, op):
    return graph.add(op, x, kernel_shape=[3, 3], strides=[2, 2])[0]


def test_padding_before_a_maximum_of_negative_numbers_stays():
    graph = Graph(size=SIZE)
    x = graph.conv("input", 4)
    y = graph._like(graph.add("Pad", x, graph.ints(0, 0, 1, 1, 0, 0, 1, 1))[0], x)
    z = graph._like(pool(graph, y, "MaxPool"), x)
    assert "Pad" in kinds(graph.classifier(graph.conv(z, 4)))


def test_a_relu_of_joined_channels_is_computed_before():
    """As the stride-2 units of ShuffleNetV1 have it."""
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 4))
    mean = graph._like(pool(graph, x, "AveragePool"), x)
    y = graph._like(pool(graph, graph.conv(x, 6), "AveragePool"), x, 6)
    proto = graph.classifier(graph.conv(graph.relu(graph.concat(mean, y)), 4))
    found = kinds(proto)
    assert found.count("Relu") == 2
    assert found[found.index("Concat") + 1] == "Conv"


def test_a_relu_of_what_is_read_otherwise_stays():
    graph = Graph(size=SIZE)
    x = graph.concat(graph.conv("input", 4), graph.conv("input", 3))
    found = kinds(graph.classifier(graph.conv(graph.concat(graph.relu(x), x), 4)))
    assert found.count("Relu") == 1
