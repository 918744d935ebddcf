from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.converter.sensitivity import SensitivityOptions, sensitivity
from edgeshuffle.errors import ArtifactError, DataError, UnknownNameError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(demo):
    return sensitivity(SensitivityOptions(artifact=Artifact.load(demo), recipe="fast", limit=20))


def test_every_layer_is_ranked_by_its_noise(found):
    shares = [layer.noise_share for layer in found.layers]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100)
    assert len({layer.name for layer in found.layers}) == len(found.layers) == 57
    assert {layer.kind for layer in found.layers} == {"dense", "pointwise", "depthwise"}
    assert sum(layer.kind == "depthwise" for layer in found.layers) == 19
    assert found.n == 20


def test_one_layer_alone_is_better_than_all_of_them(found):
    assert all(layer.sqnr_db is None or layer.sqnr_db > found.sqnr_db for layer in found.layers)
    # Noises of layers add up, roughly.
    noise = sum(10 ** (-layer.sqnr_db / 10) for layer in found.layers if layer.sqnr_db is not None)
    assert -10 * np.log10(noise) == pytest.approx(found.sqnr_db, abs=6)


def test_the_macs_are_the_manifest_s(found, demo):
    assert sum(layer.macs for layer in found.layers) == Artifact.load(demo).manifest.macs


def test_a_table_with_a_chart(demo, capsys):
    assert run("sensitivity", demo, "--limit", 5, "--recipe", "fast", "--top", 3) == 0
    shown = capsys.readouterr().out
    assert "recipe fast (mse), on 5 images" in shown
    assert 16 * "#" in shown
    assert "and 54 layers with less noise" in shown
    assert "All 57 together: SQNR" in shown


def test_the_artifact_s_own_recipe_and_calibrator_are_used(demo, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(demo, folder)
    data = json.loads((folder / "manifest.json").read_text())
    own = asdict(load_recipe("fast", "percentile"))
    data["quantization"]["recipe"] = own
    (folder / "manifest.json").write_text(json.dumps(data))
    found = sensitivity(SensitivityOptions(artifact=Artifact.load(folder), limit=4))
    assert (found.recipe, found.calibrator) == ("fast", "percentile")
    one = {layer.name: layer.sqnr_db for layer in found.layers}
    options = SensitivityOptions(artifact=Artifact.load(demo), recipe="fast", limit=4)
    other = {layer.name: layer.sqnr_db for layer in sensitivity(options).layers}
    assert one != other
    rule = {"name": "("}
    for field, value in (
        *(("calibrator", "none"), ("steps", ["none"]), ("steps", 3), ("layers", [rule])),
    ):
        data["quantization"]["recipe"] = {**own, field: value}
        (folder / "manifest.json").write_text(json.dumps(data))
        with pytest.raises((ArtifactError, UnknownNameError)):
            sensitivity(SensitivityOptions(artifact=Artifact.load(folder), limit=4))


def test_json(demo, capsys):
    assert run("sensitivity", demo, "--limit", 5, "--recipe", "fast", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["recipe"] == "fast"
    assert len(shown["layers"]) == 57


def test_what_it_cannot_do_without(demo, tmp_path, capsys):
    assert run("sensitivity", demo, "--data", tmp_path / "none") == DataError.exit_code
    assert "does not exist" in capsys.readouterr().err
    folder = tmp_path / "tflite"
    assert (
        run("export", "--width", 0.5, "--resolution", 64, "--format", "tflite", "-o", folder) == 0
    )
    capsys.readouterr()
    assert run("sensitivity", folder) == ArtifactError.exit_code
    assert "has no float ONNX file" in capsys.readouterr().err
