"""Layers that stay floats, so that INT8 loses no more than was asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.errors import DataError, GateError, UnknownNameError
from edgeshuffle.host.packaged import TEST_IMAGES
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate

pytestmark = pytest.mark.slow

GIVEN = ("--width", 0.5, "--resolution", 64, "--int8", "--recipe", "fast")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Test images, with labels and without."""
    folder = tmp_path_factory.mktemp("images")
    with np.load(TEST_IMAGES) as data:
        names = {"x": "images", "y": "labels"}
        x, y = (data[key if key in data else names[key]][:120] for key in ("x", "y"))
    np.savez(folder / "labelled.npz", x=x, y=y)
    np.savez(folder / "unlabelled.npz", x=x)
    return folder


def budget(folder):
    return Artifact.load(folder).manifest.quantization["budget"]


def test_the_fewest_layers_stay_floats(images, tmp_path, capsys):
    wanted = tmp_path / "wanted"
    data = images / "unlabelled.npz"
    assert run("export", *GIVEN, "--max-drop", 4, "--eval", data, "-o", wanted) == 0
    said = capsys.readouterr().out
    found = budget(wanted)
    assert found["metric"] == "disagreement"
    assert found["before"]["value"] > 4 >= found["after"]["value"]
    assert 0 < len(found["float_layers"]) <= 28
    assert f"{len(found['float_layers'])} of 57 layers stay floats" in said
    assert "times the time of all layers in INT8 in ort" in said
    assert "times the time of all layers in INT8 in litert" in said

    artifact = Artifact.load(wanted)
    measured = evaluate(EvaluateOptions(artifact=artifact, data=data, labelled=False))
    agreements = {r.runtime: r.agreement for r in measured.results if r.precision == "int8"}
    assert agreements["ort"] == pytest.approx(100 - found["after"]["value"])
    assert agreements["litert"] >= agreements["ort"] - 3


def test_points_of_top_1(images, tmp_path, capsys):
    folder = tmp_path / "met"
    given = ("--max-drop", 50, "--eval", images / "labelled.npz", "-o", folder)
    assert run("export", *GIVEN, *given, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert any("met without layers in float" in note for note in shown["notes"])
    assert shown["quantization"]["budget"]["metric"] == "top1_drop"
    assert shown["quantization"]["budget"]["float_layers"] == []


def test_the_rule_that_made_labels_of_folders_is_kept(images, tmp_path):
    with np.load(images / "labelled.npz") as data:
        for index, (pixels, label) in enumerate(zip(data["x"][:40], data["y"][:40], strict=True)):
            folder = tmp_path / "eval" / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    given = (*GIVEN, "--format", "onnx", "--eval", tmp_path / "eval", "--max-drop", 50)
    assert run("export", *given, "-o", tmp_path / "index") == 0
    assert budget(tmp_path / "index")["class_order"] == "index"
    assert run("export", *given, "--class-order", "sorted", "-o", tmp_path / "sorted") == 0
    assert budget(tmp_path / "sorted")["class_order"] == "sorted"


def test_a_budget_that_cannot_be_met(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("edgeshuffle.converter.export.budget._MOST", 0.02)
    given = ("--max-drop", 0, "--eval", images / "unlabelled.npz", "-o", tmp_path / "none")
    assert run("export", *GIVEN, *given) == GateError.exit_code
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "Even with 1 of 57 layers in float" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("given", "error", "text"), [
    (("--max-drop", 1), UnknownNameError, "limits what --int8 may lose"),
    (("--int8", "--eval", "x"), UnknownNameError, "give both"),
    (("--int8", "--max-drop", 1, "--eval", "x"), DataError, "There is nothing at x"),
    (("--int8", "--weights", "w.pth", "--calib", ".", "--max-drop", 1), DataError, "--eval FOLDER"),
])  # fmt: skip
def test_what_does_not_go_together(given, error, text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("export", *given) == error.exit_code
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
