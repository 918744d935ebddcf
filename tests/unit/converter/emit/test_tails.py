"""Detectors' tails: several outputs of any rank, float and INT8, in both formats."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import Graph, noise
from onnx import TensorProto, helper

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant.assign import assign
from edgeshuffle.converter.quant.ties import tie
from edgeshuffle.metrics import sqnr_db

SIZE = 8
IMAGE = noise(SIZE)


def rows(graph, x):
    """(1, C, H, W) to (1, H W, C)."""
    c, s = graph.channels[x], graph.sizes[x]
    return graph.transpose(graph.reshape(x, 1, c, s * s), 0, 2, 1)


def scored_rows(graph, x):
    return graph.add("Sigmoid", rows(graph, x))[0]


def anchors(graph, x):
    """As YOLO has it: (1, A, H, W, C / A)."""
    c, s = graph.channels[x], graph.sizes[x]
    turned = graph.transpose(graph.reshape(x, 1, 2, c // 2, s, s), 0, 1, 3, 4, 2)
    return graph.reshape(graph.add("Sigmoid", turned)[0], 1, 2 * s * s, c // 2)


def classes_last(graph, x):
    """As FastestDet has it: Softmax between two transpositions."""
    turned = graph.transpose(x, 0, 2, 3, 1)
    return graph.transpose(graph.add("Softmax", turned, axis=3)[0], 0, 3, 1, 2)


def joined(graph, x):
    one, other = graph.split(x, 2, 6)
    return graph.add("Concat", rows(graph, one), rows(graph, graph.conv(other, 2)), axis=1)[0]


def halves(graph, x):
    """Of the rows, every second one, as a matrix."""
    s = graph.sizes[x]
    limits = [graph.ints(n) for n in (1, s * s, 1, 2)]
    return graph.add("Squeeze", graph.add("Slice", rows(graph, x), *limits)[0], graph.ints(0))[0]


def plain_features(graph, x):
    return graph.add("Flatten", x)[0]


def feature_map(graph, x):
    return graph.relu(x)


TAILS = [rows, scored_rows, anchors, classes_last, joined, halves, plain_features, feature_map]
# Of the whole TFLite file: RESHAPE only where the order is that of NHWC.
TRANSPOSES = {plain_features: 1, anchors: 1}


def model_of(*tails):
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    kept, y = graph.split(graph.shuffle(x), 4, 4)
    x = graph.concat(kept, graph.relu(graph.conv(y, 4)))
    ends = [tail(graph, graph.conv(graph.shuffle(x), 8)) for tail in tails]
    proto = graph.model(ends[0])
    for end in ends[1:]:
        proto.graph.output.append(helper.make_tensor_value_info(end, TensorProto.FLOAT, None))
    return onnx.shape_inference.infer_shapes(proto)


def run_file(path, emitted, runtime):
    path.write_bytes(emitted.data)
    return RUNTIMES[runtime].open_session(str(path), 1).run(IMAGE)


def ranges(graph, expected):
    """Every group's from its values in the float network."""
    groups = tie(graph)
    return groups, [
        (
            min(float(expected[v.name].min()) for v in group.members),
            max(float(expected[v.name].max()) for v in group.members),
        )
        for group in groups
    ]


def all_values(model):
    import onnx_ir as ir
    import onnxruntime as ort

    proto = ir.to_proto(model)
    known = {value.name for value in proto.graph.output}
    for node in proto.graph.node:
        for name in node.output:
            if name not in known:
                proto.graph.output.append(
                    helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                )
    session = ort.InferenceSession(proto.SerializeToString())
    names = [value.name for value in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"input": IMAGE}), strict=True))
    return {**found, "input": IMAGE}


@pytest.mark.parametrize("tails", [*((tail,) for tail in TAILS), tuple(TAILS)])
def test_tails(tmp_path, tails):
    proto = model_of(*tails)
    model = to_ir(proto)
    run_passes(model)
    expected = all_values(model)
    names = [value.name for value in model.graph.outputs]
    floating = EMITTERS["tflite"].emit(model, None)
    assert floating.ops.get("TRANSPOSE", 0) == sum(TRANSPOSES.get(tail, 0) for tail in tails)
    assert [info.name for info in floating.outputs] == names
    for runtime, emitted in (("ort", EMITTERS["onnx"].emit(model, None)), ("litert", floating)):
        found = run_file(tmp_path / "model", emitted, runtime)
        for name, array in zip(names, found, strict=True):
            assert array.shape == expected[name].shape
            assert sqnr_db(expected[name], array) > 100
    plan = assign(model.graph, *ranges(model.graph, expected))
    for style in ("qdq", "qoperator"):
        one = run_file(tmp_path / "model", EMITTERS["onnx"].emit(model, plan, style=style), "ort")
        emitted = EMITTERS["tflite"].emit(model, plan)
        other = run_file(tmp_path / "model", emitted, "litert")
        for name, info, a, b in zip(names, emitted.outputs, one, other, strict=True):
            assert np.abs(a - b).max() <= 2.01 * (info.scale or 1 / 256), (style, name)
            assert sqnr_db(expected[name], a) > 25, (style, name)


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        (np.arange(40).reshape(2, 20).T, {"RESHAPE", "TRANSPOSE"}),
        (np.random.default_rng(0).permutation(40), {"GATHER"}),
        (np.arange(40) // 2, {"GATHER"}),
        (np.roll(np.arange(40), 7), {"SLICE", "CONCATENATION"}),
        (np.arange(40).reshape(8, 5)[::-1], {"SLICE", "CONCATENATION"}),
        (np.arange(-5, 4), {"SLICE", "CONCATENATION"}),
    ],
)
def test_a_gather_is_written_as_what_is_cheapest(tmp_path, order, kinds):
    graph = Graph(size=SIZE)
    x = graph.conv("input", 40, 3)
    y = graph.add("Gather", x, graph.constant(order.reshape(-1)), axis=1)[0]
    model = to_ir(graph.model(graph.conv(graph._like(y, x, order.size), 8)))
    emitted = EMITTERS["tflite"].emit(model, None)
    assert set(emitted.ops) - {"CONV_2D", "PAD"} == kinds
    expected = all_values(model)[model.graph.outputs[0].name]
    assert sqnr_db(expected, run_file(tmp_path / "model", emitted, "litert")[0]) > 100
