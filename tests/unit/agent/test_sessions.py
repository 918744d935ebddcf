"""Models of several outputs, of any rank and type, and of batches, in the agent's sessions."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from small_detectors import DETECTORS, GRID, expected_outputs
from small_models import BUILTIN, TYPES, TfliteGraph

from edgeshuffle.agent import agent_files
from edgeshuffle.artifact import RUNTIME_OF_FORMAT
from edgeshuffle.artifact.runtimes import RUNTIMES

IMAGES = np.random.default_rng(1).standard_normal((2, 3, 4, 5), dtype=np.float32)


def check(found, expected):
    assert [value.shape for value in found] == [value.shape for value in expected]
    assert all(value.dtype == np.float32 for value in found)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.fixture(params=DETECTORS)
def kind(request):
    return request.param


def opened(kind, path, *arguments):
    DETECTORS[kind](path, *arguments)
    return RUNTIMES[RUNTIME_OF_FORMAT[kind]].open_session(str(path), 1)


@pytest.mark.parametrize("grid", [None, GRID], ids=["float", "int8"])
def test_all_outputs_in_one_layout(kind, tmp_path, grid):
    session = opened(kind, tmp_path / "model", 2, grid)
    assert session.input_shape == IMAGES.shape
    check(session.run(IMAGES), expected_outputs(IMAGES, grid))


def test_outputs_stay_as_they_are(kind, tmp_path):
    session = opened(kind, tmp_path / "model", 2)
    found = session.run(IMAGES)
    session.run(-IMAGES)
    check(found, expected_outputs(IMAGES))


def test_an_open_batch_is_one_image(tmp_path):
    session = opened("onnx", tmp_path / "model", "batch")
    assert session.input_shape == (1, 3, 4, 5)
    for images in (IMAGES[:1], IMAGES):
        check(session.run(images), expected_outputs(images))


def test_integers_without_a_scale_are_refused(tmp_path):
    graph = TfliteGraph()
    image = graph.tensor("input", (1, 4, 5, 3), TYPES.INT8)
    axes = graph.ints("axes", [1, 2])
    mean = graph.tensor("mean", (1, 3), TYPES.INT8)
    graph.op(BUILTIN.REDUCE_MAX, [image, axes], [mean], schema.ReducerOptionsT())
    graph.save(tmp_path / "model.tflite", mean)
    with pytest.raises(ValueError, match="int8 without a scale"):
        RUNTIMES["litert"].open_session(str(tmp_path / "model.tflite"), 1)


def test_the_agent_sends_them_all(kind, tmp_path):
    DETECTORS[kind](tmp_path / "model", 2)
    images = base64.b64encode(IMAGES.tobytes()).decode()
    command = {"cmd": "infer", "shape": IMAGES.shape, "images": images}
    arguments = ("--runtime", RUNTIME_OF_FORMAT[kind], "--model", tmp_path / "model")
    done = subprocess.run(
        [sys.executable, agent_files()[-1], *arguments],
        input=json.dumps(command) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ready, reply = map(json.loads, done.stdout.splitlines())
    assert ready["input_shape"] == list(IMAGES.shape)
    expected = expected_outputs(IMAGES)
    found = [
        np.frombuffer(base64.b64decode(text), "<f4").reshape(value.shape)
        for text, value in zip(reply["outputs"], expected, strict=True)
    ]
    check(found, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_nothing_runs_beside_a_session_of_onnx_runtime(tmp_path):
    """Its telemetry's thread would be timed and counted."""
    program = agent_files("ort")[-1].with_name("ort.py")
    code = (
        "import os, runpy, sys, numpy\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        f"open_session = runpy.run_path({str(program)!r})['open_session']\n"
        "open_session(sys.argv[1], 1)\n"
        "sys.exit(len(os.listdir('/proc/self/task')) - before)"
    )
    DETECTORS["onnx"](tmp_path / "model", 1)
    environment = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model"], env=environment, check=False
    )
    assert done.returncode == 0
