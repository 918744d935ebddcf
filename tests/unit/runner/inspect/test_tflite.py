"""Inspection of TFLite files against counts worked out by hand, and what the command shows."""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from small_models import BUILTIN, TYPES, TfliteGraph, artifact, onnx_classifier, run

from edgeshuffle.errors import ArtifactError, ModelError
from edgeshuffle.runner.inspect import Grid, inspect_file

CONV_MACS = 8 * 8 * 4 * 3 * 3 * 3  # 4 outputs of 3x3x3, stride 1
DEPTHWISE_MACS = 8 * 8 * 4 * 9


def int8_tflite(path, *, half=(0.5, 0), output=(0.5, 0), requantize=False):
    graph = TfliteGraph()
    grid = {"kind": TYPES.INT8, "grid": (0.5, 0)}
    image = graph.tensor("input", (1, 8, 8, 3), **grid)
    weight = graph.tensor("w", (4, 3, 3, 3), TYPES.INT8, data=np.ones((4, 3, 3, 3), np.int8))
    bias = graph.tensor("b", (4,), TYPES.INT32, data=np.zeros(4, np.int32))
    conv = graph.tensor("c", (1, 8, 8, 4), **grid)
    graph.op(BUILTIN.CONV_2D, [image, weight, bias], [conv], schema.Conv2DOptionsT(), 3)
    weight = graph.tensor("dw", (1, 3, 3, 4), TYPES.INT8, data=np.ones((1, 3, 3, 4), np.int8))
    depthwise = graph.tensor("d", (1, 8, 8, 4), **grid)
    options = schema.DepthwiseConv2DOptionsT()
    graph.op(BUILTIN.DEPTHWISE_CONV_2D, [conv, weight, bias], [depthwise], options, 3)
    if requantize:
        copy = graph.tensor("copy", (1, 8, 8, 4), TYPES.INT8, grid=(0.5, 1))
        graph.op(BUILTIN.QUANTIZE, [depthwise], [copy], schema.QuantizeOptionsT())
        real = graph.tensor("real", (1, 8, 8, 4))
        graph.op(BUILTIN.DEQUANTIZE, [copy], [real], schema.DequantizeOptionsT())
        depthwise = graph.tensor("again", (1, 8, 8, 4), **grid)
        graph.op(BUILTIN.QUANTIZE, [real], [depthwise], schema.QuantizeOptionsT())
    sliced = graph.tensor("s", (1, 8, 8, 2), TYPES.INT8, grid=half)
    begin, size = graph.ints("begin", [0, 0, 0, 2]), graph.ints("size", [1, 8, 8, 2])
    graph.op(BUILTIN.SLICE, [depthwise, begin, size], [sliced], schema.SliceOptionsT(), 2)
    five = graph.tensor("five", (1, 8, 8, 1, 2), TYPES.INT8, grid=half)
    shape = graph.ints("shape", [1, 8, 8, 1, 2])
    graph.op(BUILTIN.RESHAPE, [sliced, shape], [five], schema.ReshapeOptionsT())
    flat = graph.tensor("flat", (1, 128), TYPES.INT8, grid=half)
    shape = graph.ints("flat_shape", [1, 128])
    graph.op(BUILTIN.RESHAPE, [five, shape], [flat], schema.ReshapeOptionsT())
    weight = graph.tensor("fc", (10, 128), TYPES.INT8, data=np.ones((10, 128), np.int8))
    logits = graph.tensor("logits", (1, 10), TYPES.INT8, grid=output)
    options = schema.FullyConnectedOptionsT()
    graph.op(BUILTIN.FULLY_CONNECTED, [flat, weight, -1], [logits], options, 4)
    graph.save(path, logits)
    return inspect_file(path)


def test_int8_tflite(tmp_path):
    found = int8_tflite(tmp_path / "a.tflite", output=(0.125, 3))
    assert found.macs == CONV_MACS + DEPTHWISE_MACS + 1280
    assert found.parameters == 108 + 4 + 36 + 1280  # the shared bias counts once
    assert found.weight_bytes == 108 + 16 + 36 + 1280
    # A slice reads no more than it writes; a reshape copies.
    assert found.moved_bytes == 3 * 2 * 128
    assert found.wide_tensors == ("five",)
    assert found.ops["RESHAPE"] == 2
    assert found.requantizations == ()


def test_tflite_slice_between_grids_requantizes(tmp_path):
    (found,) = int8_tflite(tmp_path / "a.tflite", half=(0.25, 0)).requantizations
    assert (found.op, found.output) == ("SLICE", "s")
    assert (found.sources, found.target) == ((Grid("int8", 0.5, 0),), Grid("int8", 0.25, 0))


def test_tflite_quantize_chains_requantize(tmp_path):
    found = int8_tflite(tmp_path / "a.tflite", requantize=True).requantizations
    assert [(item.op, item.output) for item in found] == [
        ("QUANTIZE", "copy"),
        ("QUANTIZE", "again"),
    ]


def test_damaged_tflite(tmp_path):
    path = tmp_path / "a.tflite"
    int8_tflite(path)
    content = path.read_bytes()
    for damaged in (b"", b"\0" * 100, content[:8], content[:200]):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"a\.tflite"):
            inspect_file(path)


def test_missing_or_foreign(tmp_path):
    for name in ("a.onnx", "folder"):
        with pytest.raises(ArtifactError, match=f"There is no .*{name}"):
            inspect_file(tmp_path / name)
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="is no model file"):
        inspect_file(tmp_path / "a.pt")


def test_one_column_a_file_of_the_newest_artifact(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "build" / "demo"
    folder.mkdir(parents=True)
    weight, bias = np.ones((10, 3), np.float32), np.zeros(10, np.float32)
    onnx_classifier(folder / "model_fp32.onnx", weight, bias, 8)
    int8_tflite(folder / "model_int8.tflite", half=(0.25, 0))
    files = [("model_fp32.onnx", "fp32"), ("model_int8.tflite", "int8")]
    artifact(folder, files, num_classes=10, size=8)
    monkeypatch.chdir(tmp_path)
    assert run("inspect", "--json") == 0
    found = json.loads(capsys.readouterr().out)["files"]
    assert found["model_fp32.onnx"]["macs"] == 30
    assert found["model_int8.tflite"]["requantizations"][0]["target"]["scale"] == 0.25
    assert run("inspect") == 0
    table = capsys.readouterr().out
    assert "fp32.onnx" in table
    assert "SLICE to 's' requantizes: scale 0.5 to 0.25" in table
