"""`edgeshuffle export` as users run it."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from exports import SIZE, content, weights
from networks import network
from PIL import Image
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.dataset import open_images
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate
from edgeshuffle.runner.inspect import inspect_file

pytestmark = pytest.mark.slow


def test_an_artifact_has_four_models_and_a_manifest(exported):
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        "manifest.json",
        "shufflenet_v2_x0_5_fp32.onnx",
        "shufflenet_v2_x0_5_fp32.tflite",
        "shufflenet_v2_x0_5_int8.onnx",
        "shufflenet_v2_x0_5_int8.tflite",
    ]
    manifest = exported.manifest
    assert manifest.num_classes == 10
    assert manifest.source["kind"] == "checkpoint"
    assert manifest.quantization["calibration_images"] == 24
    assert manifest.metrics["files"].keys() == {file.path for file in manifest.files}


def test_no_model_moves_data_needlessly(exported):
    for file in exported.manifest.files:
        found = inspect_file(exported.path(file))
        assert not found.requantizations
        assert not found.wide_tensors
        assert found.transposes == 0
        if file.format == "onnx":
            assert "Reshape" not in found.ops
            onnx.checker.check_model(str(exported.path(file)), full_check=True)


def test_both_runtimes_give_the_same_numbers(given, exported):
    data = open_images(given / "test.npz", exported.manifest.preprocess)
    sessions = {
        (file.runtime, file.precision): RUNTIMES[file.runtime].open_session(
            str(exported.path(file)), 1
        )
        for file in exported.manifest.files
    }
    scale = exported.manifest.quantization["outputs"]["logits"]["scale"]
    for image in data:
        logits = {key: session.run(image)[0] for key, session in sessions.items()}
        steps = np.abs(logits["ort", "int8"] - logits["litert", "int8"]) / scale
        assert steps.max() <= 2
        spread = logits["ort", "fp32"].std()
        assert np.abs(logits["ort", "fp32"] - logits["litert", "fp32"]).max() < 1e-4 * spread


def test_int8_agrees_with_float(given, exported):
    found = evaluate(EvaluateOptions(artifact=exported, data=given / "test.npz"))
    for result in found.results:
        assert result.sqnr_db is None or result.sqnr_db > (20 if result.precision == "int8" else 80)


def test_the_same_command_gives_the_same_bytes(given, exported, tmp_path):
    assert run("export", *weights(given), "-o", tmp_path / "again") == 0
    assert content(tmp_path / "again") == content(exported.folder)


def test_json_is_the_manifest_and_nothing_else(given, tmp_path, capsys):
    arguments = ("--weights", given / "x0_5.pth", "--resolution", SIZE, "--format", "onnx")
    assert run("export", *arguments, "-o", tmp_path / "model", "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found["artifact"] == str(tmp_path / "model")
    assert [file["path"] for file in found["files"]] == ["shufflenet_v2_x0_5_fp32.onnx"]
    assert any("stem" in note for note in found["notes"])


def test_qoperator_style_computes_the_same_integers(given, exported, tmp_path):
    arguments = (*weights(given), "--format", "onnx", "--onnx-style", "qoperator")
    assert run("export", *arguments, "-o", tmp_path / "q") == 0
    artifact = Artifact.load(tmp_path / "q")
    ops = next(file.ops for file in artifact.manifest.files if file.precision == "int8")
    assert (ops["QLinearConv"], ops["QGemm"]) == (56, 1)
    path = tmp_path / "q" / "shufflenet_v2_x0_5_int8.onnx"
    files = (path, exported.folder / path.name)
    runs = [RUNTIMES["ort"].open_session(str(file), 1).run for file in files]
    scale = exported.manifest.quantization["outputs"]["logits"]["scale"]
    for image in open_images(given / "test.npz", artifact.manifest.preprocess):
        first, second = (session(image)[0] for session in runs)
        assert np.abs(first - second).max() <= 2 * scale


def test_calibration_pictures_of_any_classes_will_do(given, tmp_path):
    random = np.random.default_rng(0)
    for name in ("birds", "trees"):
        (tmp_path / "calib" / name).mkdir(parents=True)
        for index in range(3):
            pixels = random.integers(0, 256, (80, 100, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "calib" / name / f"{index}.png")
    arguments = ("--weights", given / "x0_5.pth", "--resolution", SIZE, "--format", "onnx")
    calibration = ("--int8", "--calib", tmp_path / "calib", "--recipe", "fast")
    assert run("export", *arguments, *calibration, "-o", tmp_path / "out") == 0
    assert Artifact.load(tmp_path / "out").manifest.quantization["calibration_images"] == 6


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_an_onnx_file_takes_the_same_way(exporter, given, tmp_path):
    module = network(0.5, 10)
    if exporter == "dynamo":
        program = torch.onnx.export(module, (torch.zeros(1, 3, SIZE, SIZE),), dynamo=True)
        program.save(tmp_path / "my net.onnx")
    else:
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, SIZE, SIZE),),
            str(tmp_path / "my net.onnx"),
            input_names=["image"],
            dynamic_axes={"image": {0: "batch"}},
            opset_version=13,
            dynamo=False,
        )
    arguments = ("--onnx", tmp_path / "my net.onnx", "--int8", "--calib", given / "calib.npz")
    assert run("export", *arguments, "-o", tmp_path / "out") == 0
    artifact = Artifact.load(tmp_path / "out")
    assert artifact.manifest.model == "my_net"
    assert artifact.manifest.preprocess.crop == (SIZE, SIZE)
    found = evaluate(EvaluateOptions(artifact=artifact, data=given / "test.npz"))
    assert {result.n for result in found.results} == {24}


def test_floats_between_integers_stay_floats_in_both_runtimes(tmp_path):
    # ONNX Runtime would quantize these layers' weights by itself, with one scale for all channels.
    recipe = tmp_path / "mine.toml"
    rule = '[[layers]]\nkind = "depthwise"\nprecision = "float32"\n'
    recipe.write_text(f'description = ""\ncalibrator = "percentile"\n{rule}', "utf-8")
    options = ("--width", 0.5, "--resolution", 64, "--int8", "--recipe", recipe)
    assert run("export", *options, "-o", tmp_path / "out") == 0
    files = json.loads((tmp_path / "out" / "manifest.json").read_text())["metrics"]["files"]
    sqnr = [found["sqnr_db"] for name, found in files.items() if "int8" in name]
    assert sqnr[0] == pytest.approx(sqnr[1], abs=0.5)
