"""Sizes, kinds and names of layers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from networks import Graph
from onnx import helper
from small_models import BUILTIN, TfliteGraph

from edgeshuffle.runner.inspect import tflite_graph
from edgeshuffle.runner.inspect.onnx_graph import OnnxGraph
from edgeshuffle.runner.profile import kinds
from edgeshuffle.runner.profile.kinds import Convolution
from edgeshuffle.runner.profile.names import Names, module_path
from edgeshuffle.runner.profile.onnx_layers import OnnxLayers
from edgeshuffle.runner.profile.tflite_layers import tflite_layers


def conv(**sizes):
    given = {"batch": 1, "read": 784, "written": 784, "inputs": 58, "outputs": 58, "taps": 1}
    return Convolution(**{**given, "groups": 1, **sizes})


def test_the_papers_equation():
    # hw (c1 + c2) + c1 c2, and with groups hw (c1 + c2) + c1 c2 / g.
    assert conv().accesses == 784 * (58 + 58) + 58 * 58
    assert conv().macs == 784 * 58 * 58
    grouped = conv(groups=2)
    assert grouped.accesses == 784 * (58 + 58) + 58 * 58 // 2
    assert grouped.macs == 784 * 58 * 58 // 2
    # A batch has its images read and written, and the weights once.
    assert conv(batch=3).accesses == 3 * 784 * (58 + 58) + 58 * 58


@pytest.mark.parametrize(
    ("sizes", "first", "kind"),
    [
        ({}, False, kinds.POINTWISE),
        ({"groups": 2}, False, kinds.POINTWISE),
        ({"groups": 58, "taps": 9}, False, kinds.DEPTHWISE),
        ({"taps": 9}, False, kinds.CONV),
        ({"taps": 9, "inputs": 3}, True, kinds.FIRST_CONV),
        ({"read": 1, "written": 1}, False, kinds.FULLY_CONNECTED),
    ],
)
def test_what_a_convolution_is(sizes, first, kind):
    assert conv(**sizes).kind(first=first) == kind


def test_every_kind_has_a_place_in_the_table():
    assert set(kinds._KIND_OF.values()) <= set(kinds.KINDS)
    assert kinds.kind_of("NoSuchOperator") == kinds.OTHER


@pytest.mark.parametrize(
    ("weight", "path"),
    [
        ("stage2.0.branch1.0.weight", "stage2.0.branch1.0"),
        ("stage2.0.branch1.2.weight_rows", "stage2.0.branch1.2"),
        ("fc.weight", "fc"),
        ("getitem_weight", None),
        ("weight", None),
    ],
)
def test_a_module_is_known_by_its_weight(weight, path):
    assert module_path(weight) == path


def test_names_are_the_users_where_files_have_others():
    names = Names({"getitem_3": "stage2.0.branch1.0"})
    assert names.layer("getitem_3_real", "getitem_3_weight") == "stage2.0.branch1.0"
    assert names.layer("relu_2", "getitem_3_weight") == "stage2.0.branch1.0"
    assert names.layer("relu_1_part_q") == "relu_1_part"
    assert names.layer("_q") == "_q"


def shuffling():
    """A convolution, a shuffle of its channels and a depthwise one."""
    graph = Graph(size=8)
    x = graph.shuffle(graph.relu(graph.conv("input", 8, 3)))
    return OnnxGraph(graph.classifier(graph.depthwise(x)))


def layers(source, nodes, shapes=None):
    return OnnxLayers(source, Names()).layers(nodes, shapes or source.shapes)


def test_a_file_as_it_is():
    source = shuffling()
    found = layers(source, source.nodes)
    assert [layer.kind for layer in found].count(kinds.SHUFFLE) == 3
    assert [layer.kind for layer in found][:2] == [kinds.FIRST_CONV, kinds.ELEMENT_WISE]
    first, relu = found[:2]
    assert first.macs == 8 * 8 * 8 * 27
    assert first.accesses == 8 * 8 * (3 + 8) + 27 * 8
    assert first.intensity == pytest.approx(first.macs / first.accesses)
    assert (relu.macs, relu.accesses) == (0, 2 * 8 * 8 * 8)
    assert kinds.FULLY_CONNECTED in [layer.kind for layer in found]


def test_what_onnx_runtime_makes_of_it_has_the_files_sizes():
    source = shuffling()
    first = source.nodes[0]
    made = [
        helper.make_node("ReorderInput", ["input"], ["r0"], name="ReorderInput"),
        helper.make_node("Conv", ["r0", "r1"], ["r2"], name=f"{first.output[0]}_nchwc_token_3"),
        helper.make_node("ReorderOutput", ["r2"], ["r3"], name="ReorderOutput_token_4"),
        helper.make_node("NoSuchConv", ["r3"], ["r4"], name="strange"),
    ]
    shapes = {"input": (1, 3, 8, 8), "r0": (1, 8, 8, 8), "r2": (1, 8, 8, 8), "r3": (1, 8, 8, 8)}
    reorder, conv, back, strange = layers(source, made, shapes)
    assert (conv.kind, conv.macs) == (kinds.FIRST_CONV, 8 * 8 * 8 * 27)
    assert (reorder.kind, reorder.name) == (kinds.CONVERSION, "input")
    # Named by what it is put behind.
    assert (back.kind, back.name, back.accesses) == (kinds.CONVERSION, conv.name, 1024)
    assert strange.kind == kinds.OTHER


def test_a_convolution_that_nobody_knows_has_no_sizes():
    node = helper.make_node("QLinearConv", ["a", "b"], ["c"], name="strange")
    (found,) = layers(shuffling(), [node])
    assert (found.macs, found.accesses, found.intensity) == (None, None, None)
    assert found.kind == kinds.CONV


def test_a_weight_tells_what_a_name_does_not():
    source = shuffling()
    weight = source.nodes[0].input[1]
    node = helper.make_node("FusedConv", ["input", weight], ["c"], name="strange")
    (found,) = layers(source, [node])
    assert found.kind == kinds.FIRST_CONV


def test_shapes_that_are_open_stop_nothing():
    graph = Graph(size=8)
    model = graph.classifier(graph.conv("input", 4))
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "size"
    source = OnnxGraph(model)
    assert all(isinstance(layer.name, str) for layer in layers(source, source.nodes, {}))
    assert isinstance(model, onnx.ModelProto)


def test_a_pad_is_its_convolutions(tmp_path):
    graph = TfliteGraph()
    image = graph.tensor("input", (1, 8, 8, 3))
    pads = graph.tensor("pads", (4, 2), schema.TensorType.INT32, data=np.zeros((4, 2), np.int32))
    padded = graph.tensor("padded", (1, 10, 10, 3))
    graph.op(BUILTIN.PAD, [image, pads], [padded], schema.PadOptionsT())
    weight = graph.tensor("a.weight", (4, 3, 3, 3), data=np.ones((4, 3, 3, 3), np.float32))
    bias = graph.tensor("bias", (4,), data=np.zeros(4, np.float32))
    made = graph.tensor("made", (1, 8, 8, 4))
    graph.op(BUILTIN.CONV_2D, [padded, weight, bias], [made], schema.Conv2DOptionsT())
    wide = graph.tensor("wide", (1, 10, 10, 4))
    graph.op(BUILTIN.PAD, [made, pads], [wide], schema.PadOptionsT())
    pooled = graph.tensor("pooled", (1, 5, 5, 4))
    graph.op(BUILTIN.MAX_POOL_2D, [wide], [pooled], schema.Pool2DOptionsT())
    graph.save(tmp_path / "pads.tflite", pooled)
    found = tflite_layers(tflite_graph.load(tmp_path / "pads.tflite"), Names())
    assert [(end, layer.op) for end, layer in found] == [
        (2, "PAD+CONV_2D"),
        # XNNPACK has none that pads.
        (3, "PAD"),
        (4, "MAX_POOL_2D"),
    ]
    conv = found[0][1]
    assert (conv.name, conv.kind) == ("a", kinds.FIRST_CONV)
    assert conv.accesses == 8 * 8 * (3 + 4) + 27 * 4


def test_a_pad_of_channels_is_a_layer_of_its_own(tmp_path):
    graph = TfliteGraph()
    image = graph.tensor("input", (1, 8, 8, 3))
    pads = graph.tensor("pads", (4, 2), schema.TensorType.INT32, data=np.zeros((4, 2), np.int32))
    padded = graph.tensor("padded", (1, 8, 8, 16))
    graph.op(BUILTIN.PAD, [image, pads], [padded], schema.PadOptionsT())
    weight = graph.tensor("a.weight", (4, 1, 1, 16), data=np.ones((4, 1, 1, 16), np.float32))
    bias = graph.tensor("bias", (4,), data=np.zeros(4, np.float32))
    made = graph.tensor("made", (1, 8, 8, 4))
    graph.op(BUILTIN.CONV_2D, [padded, weight, bias], [made], schema.Conv2DOptionsT())
    graph.save(tmp_path / "pads.tflite", made)
    (_, pad), (_, conv) = tflite_layers(tflite_graph.load(tmp_path / "pads.tflite"), Names())
    assert (pad.op, pad.accesses) == ("PAD", 8 * 8 * (3 + 16))
    assert (conv.op, conv.macs) == ("CONV_2D", 8 * 8 * 16 * 4)
    assert conv.accesses == 8 * 8 * (16 + 4) + 16 * 4
