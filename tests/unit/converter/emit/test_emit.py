from __future__ import annotations

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_onnx

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.operators.fused import clamp_is_implied
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.plan import QParams
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.runner.inspect import inspect_file


def prepared(proto):
    model = to_ir(proto)
    run_passes(model)
    check_core(model)
    return model


def run_file(folder, name, emitted, image):
    runtime = {"onnx": "ort", "tflite": "litert"}[name]
    path = folder / f"model{EMITTERS[name].SUFFIX}"
    path.write_bytes(emitted.data)
    return RUNTIMES[runtime].open_session(str(path), 1).run(image)[0].reshape(-1)


def everything():
    """A graph with every operator that the emitters write."""
    graph = Graph(size=9)
    x = graph.max_pool(graph.conv("input", 8, 3, 2))
    x = graph.relu(x)
    six = graph.add("Clip", graph.conv(x, 8), *(graph.constant(np.float32(v)) for v in (0, 6)))[0]
    x = graph._like(six, x, 8)
    a, b = graph.split(x, 4, 4)
    y = graph.relu(graph.conv(graph.depthwise(b), 4))
    x = graph.concat(a, y)
    x = graph.concat(graph.cut(x, 1, 6), graph.conv(x, 3))
    return graph.classifier(graph.relu(graph.conv(x, 6)))


@pytest.mark.parametrize("name", EMITTERS)
def test_float_files_compute_what_the_graph_does(name, tmp_path):
    proto = everything()
    emitted = EMITTERS[name].emit(prepared(proto), None)
    output = run_file(tmp_path, name, emitted, noise(9))
    assert relative_error(run_onnx(proto, noise(9)).reshape(-1), output) < 1e-5


def test_both_formats_give_the_same_integers(tmp_path):
    model = prepared(everything())
    images = [noise(9, seed) for seed in range(20)]
    plan = quantize(model, images, load_recipe("fast", "minmax")).plan
    files = {
        "qdq": EMITTERS["onnx"].emit(model, plan, style="qdq"),
        "qoperator": EMITTERS["onnx"].emit(model, plan, style="qoperator"),
        "signed": EMITTERS["onnx"].emit(model, plan, activations="int8"),
        "signed qoperator": EMITTERS["onnx"].emit(
            model, plan, style="qoperator", activations="int8"
        ),
        "tflite": EMITTERS["tflite"].emit(model, plan),
    }
    step = plan.activations[model.graph.outputs[0].name].scale
    for image in images:
        outputs = [
            run_file(tmp_path, "tflite" if style == "tflite" else "onnx", emitted, image)
            for style, emitted in files.items()
        ]
        for output in outputs[1:]:
            assert np.abs(output - outputs[0]).max() <= 2 * step + 1e-6


def test_int8_is_close_to_float(tmp_path):
    proto = everything()
    model = prepared(proto)
    images = [noise(9, seed) for seed in range(20)]
    plan = quantize(model, images, load_recipe("fast", "minmax")).plan
    emitted = EMITTERS["tflite"].emit(model, plan)
    reference = np.stack([run_onnx(proto, image).reshape(-1) for image in images])
    output = np.stack([run_file(tmp_path, "tflite", emitted, image) for image in images])
    assert ((reference - output) ** 2).sum() < 0.01 * (reference**2).sum()


@pytest.mark.parametrize("name", EMITTERS)
def test_nothing_is_requantized_or_of_rank_5(name, tmp_path):
    model = prepared(everything())
    plan = quantize(model, [noise(9)], load_recipe("fast", "minmax")).plan
    path = tmp_path / f"model{EMITTERS[name].SUFFIX}"
    path.write_bytes(EMITTERS[name].emit(model, plan).data)
    found = inspect_file(path)
    assert len(found.requantizations) == 0
    assert found.transposes == 0
    assert not found.wide_tensors


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(4, 11),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 3),
    kind=st.sampled_from(["conv", "depthwise"]),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
)
def test_every_padding_is_equal_in_tflite(tmp_path_factory, size, kernel, stride, kind, pads):
    graph = Graph(size=size)
    x = graph.conv("input", 4)
    x = graph.conv(x, 4, kernel, stride) if kind == "conv" else graph.depthwise(x, kernel, stride)
    node = graph.nodes[-1]
    for attribute in node.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = pads
    proto = onnx.shape_inference.infer_shapes(graph.classifier(x))
    if min(d.dim_value for d in proto.graph.value_info[1].type.tensor_type.shape.dim) < 1:
        return
    try:
        reference = run_onnx(proto, noise(size)).reshape(-1)
    except Exception:  # a window larger than its padded input is no model
        return
    emitted = EMITTERS["tflite"].emit(prepared(proto), None)
    folder = tmp_path_factory.mktemp("padding")
    assert relative_error(reference, run_file(folder, "tflite", emitted, noise(size))) < 1e-4


def test_a_max_pool_of_negative_values_is_not_padded_with_zero(tmp_path):
    graph = Graph(size=8)
    x = graph.conv("input", 4)
    graph.constants[-1].CopyFrom(
        onnx.numpy_helper.from_array(np.full(4, -50, np.float32), graph.constants[-1].name)
    )
    proto = graph.classifier(graph.max_pool(x))
    model = prepared(proto)
    reference = run_onnx(proto, noise(8)).reshape(-1)
    floating = EMITTERS["tflite"].emit(model, None)
    assert relative_error(reference, run_file(tmp_path, "tflite", floating, noise(8))) < 1e-4
    plan = quantize(model, [noise(8)], load_recipe("fast", "minmax")).plan
    whole = EMITTERS["tflite"].emit(model, plan)
    assert relative_error(reference, run_file(tmp_path, "tflite", whole, noise(8))) < 0.2


def test_tflite_buffers_are_aligned():
    model = prepared(everything())
    data = EMITTERS["tflite"].emit(model, None).data
    parsed = schema.Model.GetRootAsModel(data, 0)
    starts = [
        parsed.Buffers(i)._tab.Vector(parsed.Buffers(i)._tab.Offset(4))
        for i in range(parsed.BuffersLength())
        if parsed.Buffers(i).DataLength()
    ]
    assert starts
    assert all(start % 16 == 0 for start in starts)


def test_the_same_graph_gives_the_same_bytes():
    model = prepared(everything())
    plan = quantize(model, [noise(9)], load_recipe("fast", "mse")).plan
    for name in EMITTERS:
        for chosen in (None, plan):
            first = EMITTERS[name].emit(model, chosen).data
            assert first == EMITTERS[name].emit(model, chosen).data


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "implied"),
    [
        ("none", 0.1, 5, True),
        ("relu", 0.1, -128, True),
        ("relu", 0.1, -127, False),
        ("relu6", 6 / 255, -128, True),
        ("relu6", 0.1, -128, False),
    ],
)
def test_a_clamp_is_left_out_only_where_saturation_does_it(activation, scale, zero_point, implied):
    assert clamp_is_implied(activation, QParams(scale, zero_point)) is implied


def test_an_explicit_relu_stays_where_the_scale_is_shared_with_negative_values(tmp_path):
    graph = Graph()
    x = graph.conv("input", 4)
    x = graph.concat(graph.relu(graph.conv(x, 4)), x)
    proto = graph.classifier(graph.conv(x, 4))
    model = prepared(proto)
    plan = quantize(
        model, [noise(8, seed) for seed in range(8)], load_recipe("fast", "minmax")
    ).plan
    reference = run_onnx(proto, noise(8)).reshape(-1)
    for style in ("qdq", "qoperator"):
        emitted = EMITTERS["onnx"].emit(model, plan, style=style)
        assert relative_error(reference, run_file(tmp_path, "onnx", emitted, noise(8))) < 0.2


@pytest.mark.parametrize("parts", [2, 5, 6, 9, 12])
def test_long_concatenations_stay_in_one_delegate(parts, tmp_path):
    graph = Graph(size=6)
    x = graph.relu(graph.conv("input", 8))
    pieces = [graph.relu(graph.conv(x, 1 + index % 3)) for index in range(parts)]
    joined = graph.concat(*pieces)
    proto = graph.classifier(graph.conv(joined, 4))
    model = prepared(proto)
    plan = quantize(model, [noise(6)], load_recipe("fast", "minmax")).plan
    for chosen in (None, plan):
        emitted = EMITTERS["tflite"].emit(model, chosen)
        output = run_file(tmp_path, "tflite", emitted, noise(6))
        if chosen is None:
            assert relative_error(run_onnx(proto, noise(6)).reshape(-1), output) < 1e-5
        loaded = schema.ModelT.InitFromPackedBuf(emitted.data, 0).subgraphs[0]
        joins = [
            op for op in loaded.operators if len(op.inputs) > 1 and op.builtinOptionsType == 10
        ]
        assert joins
        assert max(len(op.inputs) for op in joins) <= 5


def test_one_pixel_is_classified_by_a_matrix_product():
    graph = Graph()
    proto = graph.classifier(graph.relu(graph.conv("input", 6)))
    emitted = EMITTERS["onnx"].emit(prepared(proto), None)
    assert emitted.ops == {"Conv": 1, "Flatten": 1, "Gemm": 1, "GlobalAveragePool": 1, "Relu": 1}
    names = [tensor.name for tensor in onnx.load_from_string(emitted.data).graph.initializer]
    assert len(names) == 4
