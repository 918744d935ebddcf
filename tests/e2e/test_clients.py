"""Programs that others wrote take our files as they are, and give what we do.

They run in processes of their own, in the Python of `EDGESHUFFLE_CLIENTS` (this one by default) and
the packages of `NODE_PATH`; where they are not installed, that is told.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from places import CHECKOUT
from sharing import once
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.dataset import open_images
from edgeshuffle.host.packaged import TEST_IMAGES

CLIENTS = CHECKOUT / "tests" / "clients"
PYTHON = os.environ.get("EDGESHUFFLE_CLIENTS", sys.executable)
PICTURES = 1000
# MediaPipe's normalisation is one for all channels.
ALIKE = ("--mean", "0.45", "--std", "0.225")


def has(*command):
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def module(name):
    """A mark that skips where a module is not installed."""
    known = has(PYTHON, "-c", f"import importlib.util as u; exit(not u.find_spec('{name}'))")
    return pytest.mark.skipif(not known, reason=f"{name} is not installed")


NODE = pytest.mark.skipif(
    not has("node", "-e", "require.resolve('onnxruntime-node')"),
    reason="onnxruntime-node is not installed",
)


def said(*command):
    """What a client says last, in one line of JSON."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def given(request):
    """The demo's artifacts: INT8 with pixels, and fp32 of one normalisation for all channels."""

    def make(folder):
        size = ("--width", "0.5", "--resolution", 64)
        quick = ("--int8", "--recipe", "fast", "--calib-limit", 32, "--pixels")
        assert run("export", *size, *quick, "-o", folder / "demo") == 0
        assert run("export", *size, *ALIKE, "-o", folder / "alike") == 0

    folder = once(request, "clients", make)
    return Artifact.load(folder / "demo"), Artifact.load(folder / "alike")


@pytest.fixture(scope="module")
def images(given):
    """The demo's pictures at the input's size, (n, C, H, W) normalised."""
    demo, _ = given
    return np.concatenate(list(open_images(TEST_IMAGES, demo.manifest.preprocess)))[:PICTURES]


def file_of(artifact, format_name, precision):
    files = artifact.manifest.files
    return next(f for f in files if (f.format, f.precision) == (format_name, precision))


def as_read(artifact, file, images):
    return artifact.manifest.preprocess.pixels(images) if file.base else images


def outputs(artifact, file, images):
    """Ours, (n, classes)."""
    session = RUNTIMES[file.runtime].open_session(str(artifact.path(file)), 1)
    given = as_read(artifact, file, images)
    return np.concatenate([session.run(given[i : i + 1])[0] for i in range(len(given))])


@module("mediapipe")
@pytest.mark.parametrize(("which", "precision"), [(0, "pixels"), (1, "fp32")])
def test_mediapipe_gives_our_labels(given, images, which, precision, tmp_path):
    artifact = given[which]
    demo = given[0].manifest.preprocess
    pixels = demo.pixels(images)
    assert len(pixels) == PICTURES
    np.savez(tmp_path / "pictures.npz", x=pixels.transpose(0, 2, 3, 1).astype(np.uint8))
    own = artifact.manifest.preprocess
    mean, std = (np.float32(values)[:, None, None] for values in (own.mean, own.std))
    normalised = (pixels / np.float32(255) - mean) / std
    file = file_of(artifact, "tflite", precision)
    ours = outputs(artifact, file, normalised.astype(np.float32)).argmax(1)
    script = CLIENTS / "mediapipe_labels.py"
    found = said(PYTHON, script, artifact.path(file), tmp_path / "pictures.npz")
    same = np.mean([artifact.labels[ours[i]] == label for i, label in enumerate(found)])
    assert same >= 0.99


def step_of(artifact, file):
    """What a client may differ by: a step of the logits, or the last digits of floats."""
    scales = [one["scale"] for one in artifact.manifest.quantization["outputs"].values()]
    share = {"fp32": 0.0, "int8": 1.0, "pixels": 0.25}[file.precision]
    return share * scales[0] + 1e-4


@module("cv2")
@pytest.mark.parametrize("precision", ["fp32", "int8", "pixels"])
def test_opencv_gives_our_outputs(given, images, precision, tmp_path):
    artifact, some = given[0], images[:100]
    file = file_of(artifact, "onnx", precision)
    read = as_read(artifact, file, some)
    if file.base:
        read = read.transpose(0, 2, 3, 1).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x=read)
    written = tmp_path / "outputs.npy"
    script = CLIENTS / "opencv_outputs.py"
    command = [PYTHON, script, artifact.path(file), tmp_path / "images.npz", written]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if "unsupported data type" in done.stderr:
        pytest.skip("this OpenCV (before 5.1) has no MaxPool of uint8")
    assert done.returncode == 0, done.stderr[-2000:]
    apart = np.abs(np.load(written) - outputs(artifact, file, some)).max(1)
    # OpenCV rounds some halves another way, and some steps come of it in later layers.
    assert np.mean(apart <= step_of(artifact, file)) >= (1.0 if precision == "fp32" else 0.95)
    assert apart.max() <= 5 * step_of(artifact, file)


@NODE
@pytest.mark.parametrize("precision", ["fp32", "int8", "pixels"])
def test_onnx_runtime_in_node_gives_our_outputs(given, images, precision, tmp_path):
    artifact, some = given[0], images[:20]
    file = file_of(artifact, "onnx", precision)
    read = as_read(artifact, file, some)
    kind = "float32"
    if file.base:
        read, kind = read.transpose(0, 2, 3, 1).astype(np.uint8), "uint8"
    told = [
        {"type": kind, "dims": [1, *image.shape], "data": image.ravel().tolist()} for image in read
    ]
    (tmp_path / "images.json").write_text(json.dumps(told))
    script = CLIENTS / "onnx_outputs.js"
    found = np.array(said("node", script, artifact.path(file), tmp_path / "images.json"))
    assert np.abs(found - outputs(artifact, file, some)).max() <= step_of(artifact, file)


def test_rpicam_apps_would_take_it(tmp_path):
    """As its source says: https://github.com/raspberrypi/rpicam-apps.

    post_processing_stages/tf_stage.cpp: the first input is uint8, or float32, and has the bytes of
    a picture of the stage's size; object_classify_tf_stage.cpp: that is 224 x 224, the first
    output's last axis has as many numbers as the labels' file has lines (std::getline), and its
    bytes are read as 0 to 255 for 0 to 1.
    """
    size = ("--width", "0.5", "--resolution", 224, "--format", "tflite")
    quick = ("--int8", "--recipe", "fast", "--calib-limit", 16)
    assert run("export", *size, *quick, "--pixels", "-o", tmp_path / "demo") == 0
    artifact = Artifact.load(tmp_path / "demo")
    file = file_of(artifact, "tflite", "pixels")
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    model = interpreter(str(artifact.path(file)))
    model.allocate_tensors()
    (given,), (made,) = model.get_input_details(), model.get_output_details()
    assert given["dtype"] == np.uint8
    assert np.prod(given["shape"]) == 224 * 224 * 3
    assert made["dtype"] == np.uint8
    lines = (tmp_path / "demo" / "labels.txt").read_text("utf-8").splitlines()
    assert made["shape"][-1] == len(lines)
    model.set_tensor(given["index"], np.full(given["shape"], 128, np.uint8))
    model.invoke()
    shares = model.get_tensor(made["index"]) / 255
    assert abs(shares.sum() - 1) < 0.05
