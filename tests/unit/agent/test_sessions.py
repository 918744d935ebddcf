"""Models of several outputs, of any rank and type, and of batches, in the agent's sessions."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import helper
from small_models import BUILTIN, TYPES, OnnxGraph, TfliteGraph

from edgeshuffle.agent import agent_files
from edgeshuffle.runtimes import RUNTIMES

IMAGES = np.random.default_rng(1).standard_normal((2, 3, 4, 5), dtype=np.float32)
GRID = (0.5, 3)


def onnx_model(path, batch=2):
    """The images, doubled, their means, and where the largest channel is."""
    graph = OnnxGraph((batch, 3, 4, 5))
    graph.node("Add", ["input", "input"], ["map"])
    graph.node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0)
    graph.node("ArgMax", ["input"], ["which"], axis=1, keepdims=0)
    graph.save(path, "map", "mean", "which")
    proto = onnx.load(path)
    proto.graph.output[2].CopyFrom(
        helper.make_tensor_value_info("which", onnx.TensorProto.INT64, None)
    )
    onnx.save(proto, path)


def tflite_model(path, batch=2):
    """The same, with the doubled images quantized."""
    graph = TfliteGraph()
    image = graph.tensor("input", (batch, 4, 5, 3))
    real = graph.tensor("sum", (batch, 4, 5, 3))
    graph.op(BUILTIN.ADD, [image, image], [real], schema.AddOptionsT())
    doubled = graph.tensor("map", (batch, 4, 5, 3), TYPES.INT8, grid=GRID)
    graph.op(BUILTIN.QUANTIZE, [real], [doubled], schema.QuantizeOptionsT())
    mean = graph.tensor("mean", (batch, 3))
    graph.op(BUILTIN.MEAN, [image, graph.ints("axes", [1, 2])], [mean], schema.ReducerOptionsT())
    which = graph.tensor("which", (batch, 4, 5), TYPES.INT32)
    options = schema.ArgMaxOptionsT()
    options.outputType = TYPES.INT32
    graph.op(BUILTIN.ARG_MAX, [image, graph.ints("axis", [3])], [which], options)
    graph.save(path, doubled, mean, which)


WRITERS = {"ort": onnx_model, "litert": tflite_model}


def check(runtime, found, images):
    doubled = 2 * images
    if runtime == "litert":
        steps = np.clip(np.rint(doubled / GRID[0]) + GRID[1], -128, 127)
        doubled = (steps - GRID[1]) * GRID[0]
    expected = [doubled, images.mean((2, 3)), images.argmax(1)]
    assert [value.shape for value in found] == [value.shape for value in expected]
    assert all(value.dtype == np.float32 for value in found)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_all_outputs_in_one_layout(runtime, tmp_path):
    WRITERS[runtime](tmp_path / "model")
    session = RUNTIMES[runtime].open_session(str(tmp_path / "model"), 1)
    assert session.input_shape == IMAGES.shape
    check(runtime, session.run(IMAGES), IMAGES)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_outputs_stay_as_they_are(runtime, tmp_path):
    WRITERS[runtime](tmp_path / "model")
    session = RUNTIMES[runtime].open_session(str(tmp_path / "model"), 1)
    found = session.run(IMAGES)
    session.run(-IMAGES)
    check(runtime, found, IMAGES)


def test_an_open_batch_is_one_image(tmp_path):
    onnx_model(tmp_path / "model", "batch")
    session = RUNTIMES["ort"].open_session(str(tmp_path / "model"), 1)
    assert session.input_shape == (1, 3, 4, 5)
    check("ort", session.run(IMAGES[:1]), IMAGES[:1])
    check("ort", session.run(IMAGES), IMAGES)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_agent_sends_them_all(runtime, tmp_path):
    WRITERS[runtime](tmp_path / "model")
    images = base64.b64encode(IMAGES.tobytes()).decode()
    command = {"cmd": "infer", "shape": IMAGES.shape, "images": images}
    program = agent_files()[-1]
    done = subprocess.run(
        [sys.executable, program, "--runtime", runtime, "--model", tmp_path / "model"],
        input=json.dumps(command) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ready, reply = map(json.loads, done.stdout.splitlines())
    assert ready["input_shape"] == list(IMAGES.shape)
    values = [np.frombuffer(base64.b64decode(text), "<f4") for text in reply["outputs"]]
    shapes = [(2, 3, 4, 5), (2, 3), (2, 4, 5)]
    found = [value.reshape(shape) for value, shape in zip(values, shapes, strict=True)]
    check(runtime, found, IMAGES)
