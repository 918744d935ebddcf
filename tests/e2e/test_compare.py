from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper
from small_models import run

from edgeshuffle.artifact import Artifact, sha256
from edgeshuffle.converter.emit.flatbuffer import packed
from edgeshuffle.errors import (
    ArtifactError,
    DataError,
    GateError,
    ModelError,
    RuntimeUnavailableError,
)
from edgeshuffle.host.packaged import CALIBRATION_IMAGES
from edgeshuffle.runner.compare import CompareOptions, compare
from edgeshuffle.runner.compare.layers import LayerErrors
from edgeshuffle.runner.compare.quantization_error import QuantizationError
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(demo):
    return compare(CompareOptions(artifact=Artifact.load(demo), limit=20))


def test_both_formats_hold_the_same_integers_in_every_layer(found):
    convs = [layer for layer in found.layers if layer.operator.startswith(("Conv", "Gemm"))]
    assert len(convs) == 57
    steps = [layer.steps for layer in found.layers[:-1]]
    assert max(steps) <= 1
    # The logits are floats.
    assert found.layers[-1].steps is None
    assert found.first_wrong is None
    assert found.agreement["onnx/tflite"] == 100
    assert all(15 < layer.sqnr_db["onnx"] < 60 for layer in convs)


def test_the_last_layer_is_what_evaluate_measures(found, demo):
    measured = evaluate(
        EvaluateOptions(
            artifact=Artifact.load(demo), data=CALIBRATION_IMAGES, labelled=False, limit=20
        )
    )
    by_file = {result.file: result for result in measured.results}
    for file in Artifact.load(demo).manifest.files:
        if file.precision == "int8":
            result = by_file[file.path]
            assert found.layers[-1].sqnr_db[file.format] == pytest.approx(result.sqnr_db, abs=0.01)
            assert found.agreement[f"fp32/{file.format}"] == result.agreement


def rewritten(demo, folder, kind, change):
    """A copy of the demo whose INT8 file of a format is another one, with its checksum."""
    shutil.copytree(demo, folder)
    file = next(
        f for f in Artifact.load(demo).manifest.files if (f.format, f.precision) == (kind, "int8")
    )
    change(folder / file.path)
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace(file.sha256, sha256(folder / file.path)))
    return folder


def test_a_wrong_weight_in_one_format_is_found_where_it_is(demo, tmp_path, found, capsys):
    names = [layer.name for layer in found.layers if layer.operator == "Conv"]
    wrong = names[5]

    def change(path):
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        graph = model.subgraphs[0]
        (weight,) = [t for t in graph.tensors if t.name.decode() == f"{wrong}_weight"]
        model.buffers[weight.buffer].data = -model.buffers[weight.buffer].data
        path.write_bytes(packed(model))

    folder = rewritten(demo, tmp_path / "wrong", "tflite", change)
    assert run("compare", folder, "--limit", 4, "--min-sqnr", -100) == GateError.exit_code
    shown = capsys.readouterr()
    assert f"The first layer that goes wrong is {wrong} (Conv): the formats are" in shown.err
    assert f"! {wrong}" in shown.out


def test_a_wrong_bias_is_seen_against_float(demo, tmp_path, found):
    names = [layer.name for layer in found.layers if layer.operator == "Conv"]
    wrong = names[3]

    def change(path):
        proto = onnx.load(path)
        (bias,) = [t for t in proto.graph.initializer if t.name == f"{wrong}_bias"]
        changed = numpy_helper.to_array(bias) + np.int32(200_000)
        bias.CopyFrom(numpy_helper.from_array(changed, bias.name))
        onnx.save(proto, path)

    folder = rewritten(demo, tmp_path / "wrong", "onnx", change)
    options = CompareOptions(artifact=Artifact.load(folder), limit=4, max_steps=1000)
    first = compare(options).first_wrong
    assert first is not None
    assert first.name == wrong
    assert first.wrong.startswith("onnx has ")
    assert first.sqnr_db["tflite"] > 10 > first.sqnr_db["onnx"]


def test_equalized_channels_are_scaled_back(tmp_path, capsys):
    made = tmp_path / "made"
    assert run("export", "--width", 0.5, "--resolution", 160, "--int8", "-o", made) == 0
    assert "equalize" in Artifact.load(made).manifest.quantization["steps_taken"]
    capsys.readouterr()
    assert run("compare", made, "--limit", 10, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["fitted"]
    assert shown["first_wrong"] is None
    assert all(layer["sqnr_db"]["onnx"] > 15 for layer in shown["layers"])


def test_one_format_and_none(tmp_path, capsys):
    small = ("--width", 0.5, "--resolution", 64)
    int8 = (*small, "--int8", "--recipe", "fast")
    assert run("export", *int8, "--format", "onnx", "-o", tmp_path / "onnx") == 0
    capsys.readouterr()
    assert run("compare", tmp_path / "onnx", "--limit", 3) == 0
    assert "fp32/onnx" in capsys.readouterr().out
    assert run("export", *small, "--format", "onnx", "-o", tmp_path / "fp32") == 0
    capsys.readouterr()
    assert run("compare", tmp_path / "fp32") == ArtifactError.exit_code
    assert "has no INT8 or fp16 file" in capsys.readouterr().err
    assert run("export", *int8, "--format", "tflite", "-o", tmp_path / "lite") == 0
    capsys.readouterr()
    assert run("compare", tmp_path / "lite") == ArtifactError.exit_code
    assert "has no float ONNX file" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_file_that_is_none_is_one_line(demo, tmp_path, capsys, kind):
    """Its hash fits, so that only the runtime can tell."""
    folder = tmp_path / "broken"
    shutil.copytree(demo, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["files"]:
        if entry["format"] == kind and entry["precision"] == "int8":
            file = folder / entry["path"]
            file.write_bytes(file.read_bytes()[:-5000])
            entry["bytes"], entry["sha256"] = file.stat().st_size, sha256(file)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert run("compare", folder, "--limit", 1) == RuntimeUnavailableError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot be run" in err
    assert err.count("\n") == 1


def test_images_that_are_not_there(demo, tmp_path, capsys):
    assert run("compare", demo, "--data", tmp_path / "none") == DataError.exit_code
    assert "does not exist" in capsys.readouterr().err


def judged(expected, found, min_sqnr=10.0):
    error = QuantizationError(same_values=True)
    error.add(np.array(expected), np.array(found))
    layer = LayerErrors(name="v", operator="Conv", of_float={"onnx": error})
    return layer.judged(min_sqnr, max_steps=2)


def test_noise_where_float_is_zero_is_wrong_and_not_equal():
    layer = judged([[0.0, 0]], [[0.0, 1]], min_sqnr=-1e9)
    assert layer.sqnr_db == {}
    assert layer.wrong == "onnx is not zero where float is zero throughout"
    equal = judged([[0.0, 0]], [[0.0, 0]])
    assert equal.sqnr_db == {"onnx": None}
    assert equal.wrong is None


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_no_finite_numbers_are_refused(broken):
    for pair in (([[1.0, broken]], [[1.0, 1]]), ([[1.0, 1]], [[1.0, broken]])):
        with pytest.raises(ModelError, match="'v' holds NaN or infinity"):
            judged(*pair)


def test_the_noise_of_scaled_channels():
    random = np.random.default_rng(0)
    real = random.normal(size=(3, 4000))
    noise = 0.1 * random.normal(size=real.shape)
    scaled = (real + noise) * np.array([[0.2], [1], [7]]) + np.array([[3], [0], [-5]])
    fitted, plain = QuantizationError(same_values=False), QuantizationError(same_values=True)
    for part in np.split(np.arange(4000), 4):
        fitted.add(real[:, part], scaled[:, part])
        plain.add(real[:, part], scaled[:, part])
    assert fitted.sqnr_db() == pytest.approx(20, abs=0.2)
    assert plain.sqnr_db() < 0
    same = QuantizationError(same_values=True)
    same.add(real, real)
    assert same.sqnr_db() == np.inf
