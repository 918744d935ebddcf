"""Pools and convolutions: every padding, grouped and dilated, float and INT8, on both runtimes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_ir, run_onnx
from operator_check import SIZE, check_model, check_operator

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes


def pooled(op, size, **attributes):
    """A classifier on a pool of what has both signs."""
    graph = Graph(size=size)
    x = graph.conv("input", 8)
    y = graph.add(op, x, **attributes)[0]
    return graph.classifier(graph.relu(graph.conv(graph._like(y, x), 8)))


@pytest.mark.parametrize("counted", [0, 1])
@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "ceil"),
    [
        (3, 2, (0, 0, 0, 0), 0),
        (3, 2, (1, 1, 1, 1), 0),
        (3, 1, (1, 1, 1, 1), 0),
        (2, 2, (0, 0, 1, 1), 0),
        (3, 2, (0, 0, 0, 0), 1),
        (3, 2, (1, 1, 1, 1), 1),
    ],
)
def test_average_pool(tmp_path, kernel, stride, pads, ceil, counted):
    proto = pooled(
        "AveragePool",
        SIZE,
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        pads=pads,
        ceil_mode=ceil,
        count_include_pad=counted,
    )
    check_model(tmp_path, proto, steps=3)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1)])
@pytest.mark.parametrize(("kernel", "more"), [(2, {}), (3, {}), (3, {"auto_pad": "NOTSET"})])
def test_max_pool_with_ceil_mode(tmp_path, kernel, more, pads):
    shape = {"kernel_shape": [kernel, kernel], "strides": [2, 2], "pads": pads}
    proto = pooled("MaxPool", SIZE, **shape, ceil_mode=1, **more)
    model = check_model(tmp_path, proto, steps=2)
    assert not any("ceil_mode" in node.attributes for node in model.graph)


@settings(max_examples=60, deadline=None)
@given(
    op=st.sampled_from(["AveragePool", "MaxPool"]),
    size=st.integers(4, 11),
    kernel=st.integers(2, 4),
    stride=st.integers(1, 3),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    ceil=st.integers(0, 1),
    counted=st.integers(0, 1),
)
def test_every_pool_is_equal_in_float(
    tmp_path_factory, op, size, kernel, stride, pads, ceil, counted
):
    attributes = {"count_include_pad": counted} if op == "AveragePool" else {}
    proto = pooled(
        op,
        size,
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        pads=pads,
        ceil_mode=ceil,
        **attributes,
    )
    model = to_ir(proto)
    run_passes(model)
    # Some ask for windows of nothing but padding.
    assume(not any("ceil_mode" in node.attributes for node in model.graph))
    reference = run_onnx(proto, noise(size)).reshape(-1)
    assert relative_error(reference, run_ir(model, noise(size)).reshape(-1)) < 1e-5
    path = tmp_path_factory.mktemp("pool") / "model.tflite"
    path.write_bytes(EMITTERS["tflite"].emit(model, None).data)
    found = RUNTIMES["litert"].open_session(str(path), 1).run(noise(size))
    assert relative_error(reference, found) < 1e-4


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_convolution(tmp_path, groups):
    check_operator(
        tmp_path,
        lambda graph, x: graph.grouped(x, graph.channels[x], groups),
        steps=2,
        recipes=["fast"],
    )


@pytest.mark.parametrize("groups", [2, 8])
def test_grouped_convolution_with_a_kernel(tmp_path, groups):
    """The last is a depthwise one with two filters a channel."""
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 8))
    weight = graph.random.standard_normal((16, 8 // groups, 3, 3)) / 4
    y = graph.relu(graph._conv(x, weight, 16, 3, 2, groups))
    check_model(tmp_path, graph.classifier(graph.conv(y, 8)), steps=2, recipes=["fast"])


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(("pad", "stride"), [(2, 1), (2, 2), (0, 1)])
def test_dilated_convolution(tmp_path, depthwise, pad, stride):
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 8))
    weight = graph.random.standard_normal((8, 1 if depthwise else 8, 3, 3)) / 6
    weight, bias = (
        graph.constant(array.astype(np.float32)) for array in (weight, graph.random.normal(size=8))
    )
    y = graph.add(
        "Conv",
        x,
        weight,
        bias,
        kernel_shape=[3, 3],
        dilations=[2, 2],
        strides=[stride, stride],
        pads=[pad] * 4,
        group=8 if depthwise else 1,
    )[0]
    check_model(tmp_path, graph.classifier(graph.relu(graph._like(y, x))), steps=2)


@pytest.mark.parametrize("amounts", [(0, 0, 1, 1, 0, 0, 0, 0), (0, 0, 2, 0, 0, 0, 1, 3)])
def test_pad(tmp_path, amounts):
    graph = Graph(size=SIZE)
    x = graph.conv("input", 8)
    y = graph._like(graph.add("Pad", x, graph.ints(*amounts))[0], x)
    check_model(tmp_path, graph.classifier(graph.conv(graph.max_pool(y), 8)), steps=2)
