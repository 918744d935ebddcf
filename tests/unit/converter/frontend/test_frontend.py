from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import Graph, noise, relative_error, run_all, run_ir, run_onnx
from onnx import TensorProto, helper

from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.frontend.onnx_file import read_onnx
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.errors import ModelError


def small():
    graph = Graph()
    return graph.classifier(graph.shuffle(graph.relu(graph.conv("input", 6))))


def reread(proto, folder, resolution=None):
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return read_onnx(path, resolution)


def with_input(shape, kind=TensorProto.FLOAT):
    proto = small()
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", kind, shape))
    return proto


def refused(message, proto, folder, resolution=None):
    with pytest.raises(ModelError, match=message):
        reread(proto, folder, resolution)


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        (r"not a float32 \(N, C, H, W\)", [1, 3]),
        ("2 channels where 1", [1, 2, 8, 8]),
        ("unknown channels", [1, None, 8, 8]),
        ("fixed batch of 257", [257, 3, 8, 8]),
        ("Give it with `resolution`", [1, 3, "h", "w"]),
    ],
)
def test_inputs_that_are_no_image_are_refused(tmp_path, message, shape):
    refused(message, with_input(shape), tmp_path)


def test_an_output_that_is_a_weight_stays_one(tmp_path):
    proto = small()
    weight = proto.graph.initializer[0]
    kind = helper.make_tensor_value_info(weight.name, TensorProto.FLOAT, list(weight.dims))
    proto.graph.output.append(kind)
    onnx.save(proto, tmp_path / "model.onnx")
    export(ExportOptions(onnx=tmp_path / "model.onnx", output=tmp_path / "out"))
    written = onnx.load(tmp_path / "out" / "model_fp32.onnx")
    assert [output.name for output in written.graph.output][1] == weight.name
    made = run_all(written, noise(8))[weight.name]
    np.testing.assert_array_equal(made, onnx.numpy_helper.to_array(weight))


def quantized():
    graph = Graph()
    grid = [graph.constant(np.float32(0.1)), graph.constant(np.uint8(0))]
    x = graph.add("QuantizeLinear", "input", *grid)[0]
    weight = graph.constant(np.ones((2, 3, 1, 1), np.uint8))
    y = graph.add("QLinearConv", x, *grid, weight, *grid, *grid)[0]
    return graph.model(graph.add("DequantizeLinear", y, *grid)[0])


def trained():
    graph = Graph()
    x = graph.conv("input", 6)
    ones = [graph.constant(np.ones(6, np.float32)) for _ in range(4)]
    y = graph.add("BatchNormalization", x, *ones, training_mode=1, outputs=3)[0]
    graph.channels[y] = 6
    return graph.classifier(y)


def foreign():
    graph = Graph()
    y = graph.add("Neg", graph.conv("input", 6))[0]
    graph.channels[y] = 6
    proto = graph.classifier(y)
    odd = next(node for node in proto.graph.node if node.op_type == "Neg")
    odd.op_type, odd.domain = "Odd", "com.acme"
    return proto


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (quantized, r"quantized already: .*QLinearConv .*Give its float form"),
        (trained, r"for training: BatchNormalization .*model.eval\(\) before"),
        (foreign, r"not ONNX's own: Odd .*Export it without"),
    ],
)
def test_models_of_another_purpose_are_told_what_they_are(tmp_path, made, message):
    proto = made()
    proto.opset_import.extend(
        helper.make_opsetid(name, 1) for name in ("com.microsoft", "com.acme")
    )
    with pytest.raises(ModelError, match=message):
        to_ir(reread(proto, tmp_path))


def test_other_refusals(tmp_path):
    refused("not a float32", with_input([1, 3, 8, 8], TensorProto.UINT8), tmp_path)
    refused("fixed to 8 pixels, not 16", small(), tmp_path, (16, 16))
    two = small()
    two.graph.input.append(two.graph.input[0])
    two.graph.input[1].name = "other"
    refused("2 inputs and 1 outputs", two, tmp_path)
    with pytest.raises(ModelError, match="no ONNX model at"):
        read_onnx(tmp_path / "none.onnx", None)
    cut = small()
    del cut.graph.node[-1]
    refused("not a valid ONNX model", cut, tmp_path)


@pytest.mark.parametrize("opset", [11, 13, 17, 21])
def test_other_opsets_compute_the_same(tmp_path, opset):
    proto = small()
    proto.opset_import[0].version = opset
    model = to_ir(reread(proto, tmp_path))
    assert relative_error(run_onnx(proto, noise(8)), run_ir(model, noise(8))) < 1e-5


def test_open_sizes_are_filled_in(tmp_path):
    proto = with_input(["n", 3, "h", "w"])
    read = reread(proto, tmp_path, (8, 6))
    assert [d.dim_value for d in read.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 8, 6]


def core(message, build):
    graph = Graph()
    model = to_ir(graph.classifier(build(graph)))
    run_passes(model)
    with pytest.raises(ModelError, match=message):
        check_core(model)


def test_what_onnxsim_gets_wrong_is_left_as_it_was_given():
    graph = Graph()
    x = graph.conv("input", 8)
    padded = graph.add("Pad", x, graph.ints(0, 0, 0, 0, 0, 0, 2, 2))[0]
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
    proto = graph.classifier(graph._like(graph.add("AveragePool", padded, **window)[0], x))
    model = to_ir(proto)
    assert relative_error(run_onnx(proto, noise(8)), run_ir(model, noise(8))) < 1e-5


def test_what_cannot_be_emitted_is_named():
    core("limits that are not two constant numbers", clipped)
    for op in ("MaxPool", "AveragePool"):
        dilated = {"kernel_shape": [2, 2], "dilations": [2, 2]}
        core("dilations", lambda g, op=op, dilated=dilated: like(g, "input", op, **dilated))
    core(
        "pads by 'edge'", lambda g: like(g, "input", "Pad", g.ints(*[0, 0, 1, 1] * 2), mode="edge")
    )
    core("resizes by 'cubic'", lambda g: like(g, "input", "Resize", "", doubled(g), mode="cubic"))


def like(graph, x, op, *more, **attributes):
    made = graph.add(op, x, *more, **attributes)[0]
    graph.channels[made] = 3
    graph.sizes[made] = 4
    return made


def clipped(graph):
    x = graph.conv("input", 4)
    limits = [graph.constant(np.float32(value)) for value in (1, -1)]
    return graph._like(graph.add("Clip", x, *limits)[0], x, 4)


def doubled(graph):
    return graph.constant(np.array([1, 1, 2, 2], np.float32))


def test_more_pixels_than_a_picture_may_have_are_refused(tmp_path):
    graph = Graph(size=5000)
    onnx.save(graph.classifier(graph.conv("input", 2)), tmp_path / "large.onnx")
    with pytest.raises(ModelError, match="images of 5000 pixels a side, more than 2048"):
        export(ExportOptions(onnx=tmp_path / "large.onnx", output=tmp_path / "out"))


def test_several_outputs_keep_their_names(tmp_path):
    two = small()
    inner = two.graph.node[0].output[0]
    two.graph.output.append(helper.make_tensor_value_info(inner, TensorProto.FLOAT, [1, 6, 8, 8]))
    model = to_ir(reread(two, tmp_path))
    assert [value.name for value in model.graph.outputs] == [two.graph.output[0].name, inner]
