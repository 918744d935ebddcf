"""Operators on single elements and along axes, float and INT8, on both runtimes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_ir, run_onnx
from operator_check import SIZE, check_model, check_operator

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators import operator_of
from edgeshuffle.converter.passes import run_passes


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Sigmoid", {}),
        ("HardSwish", {}),
        ("HardSigmoid", {"alpha": 1 / 6}),
        ("HardSigmoid", {}),
        ("Softmax", {"axis": 1}),
        ("Softmax", {"axis": 3}),
        ("LogSoftmax", {"axis": 1}),
    ],
)
def test_one_value(tmp_path, op, attributes):
    check_operator(tmp_path, lambda graph, x: graph.add(op, x, **attributes)[0], steps=3)


@pytest.mark.parametrize("bounds", [(-1, 1), (0.5, None), (None, 1), (0, 6), (0, 4)])
def test_limits(tmp_path, bounds):
    def apply(graph, x):
        given = ["" if limit is None else graph.constant(np.float32(limit)) for limit in bounds]
        return graph.add("Clip", x, *given)[0]

    check_operator(tmp_path, apply, steps=2)


@pytest.mark.parametrize("slopes", [1, 8])
def test_a_slope_a_channel(tmp_path, slopes):
    def apply(graph, x):
        count = min(slopes, graph.channels[x])
        slope = graph.random.uniform(0.05, 0.4, (count, 1, 1)).astype(np.float32)
        return graph.add("PRelu", x, graph.constant(slope))[0]

    check_operator(tmp_path, apply, steps=4)


@pytest.mark.parametrize("op", ["Sub", "Div"])
def test_two_values(tmp_path, op):
    def apply(graph, x):
        y = graph.relu(graph.conv(x, graph.channels[x]))
        if op == "Div":
            y = graph.add("Add", y, graph.constant(np.float32(1)))[0]
        return graph.add(op, x, y)[0]

    check_operator(tmp_path, apply, steps=3)


CASES = [
    ("nearest", "asymmetric", "floor"),
    ("nearest", "half_pixel", "round_prefer_floor"),
    ("nearest", "align_corners", "round_prefer_ceil"),
    ("linear", "asymmetric", "floor"),
    ("linear", "half_pixel", "floor"),
    ("linear", "pytorch_half_pixel", "floor"),
    ("linear", "align_corners", "floor"),
]


def resized(size, mode, where, rounding, *, sizes=None, scales=None):
    graph = Graph(size=size)
    x = graph.conv("input", 8)
    given = graph.constant(np.array([1, 1, *scales], np.float32)) if scales else ""
    wanted = [graph.ints(1, 8, *sizes)] if sizes else []
    y = graph.add(
        "Resize",
        x,
        "",
        given,
        *wanted,
        mode=mode,
        coordinate_transformation_mode=where,
        nearest_mode=rounding,
    )[0]
    return graph.classifier(graph.relu(graph.conv(graph._like(y, x), 8, 3)))


@pytest.mark.parametrize(("mode", "where", "rounding"), CASES)
def test_resize(tmp_path, mode, where, rounding):
    check_model(tmp_path, resized(SIZE, mode, where, rounding, scales=(2, 2)), steps=3)


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(2, 9),
    case=st.sampled_from(CASES),
    sizes=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_every_size(tmp_path_factory, size, case, sizes):
    proto = resized(size, *case, sizes=sizes)
    reference = run_onnx(proto, noise(size)).reshape(-1)
    model = to_ir(proto)
    run_passes(model)
    assert relative_error(reference, run_ir(model, noise(size)).reshape(-1)) < 1e-5
    reasons = [operator_of(n).check(n) for n in model.graph if n.op_type == "Resize"]
    if any(reasons):
        assert "places between pixels that TFLite does not have" in reasons[0]
        return
    path = tmp_path_factory.mktemp("resize") / "model.tflite"
    path.write_bytes(EMITTERS["tflite"].emit(model, None).data)
    found = RUNTIMES["litert"].open_session(str(path), 1).run(noise(size))
    assert relative_error(reference, np.asarray(found).reshape(-1)) < 1e-4
