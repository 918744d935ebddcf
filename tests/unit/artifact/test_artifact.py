from __future__ import annotations

import json
import os

import numpy as np
import pytest
from small_models import artifact, onnx_classifier

from edgeshuffle.artifact import Artifact, Manifest
from edgeshuffle.errors import ArtifactError


def make(folder):
    folder.mkdir(parents=True)
    weight = np.ones((4, 3), np.float32)
    onnx_classifier(folder / "model_fp32.onnx", weight, np.zeros(4, np.float32), 4)
    return artifact(folder, [("model_fp32.onnx", "fp32")], num_classes=4, size=4)


def test_a_manifest_survives_the_round_trip(tmp_path):
    made = make(tmp_path / "model")
    loaded = Artifact.load(tmp_path / "model")
    assert loaded.manifest == made.manifest
    assert Manifest.from_json(loaded.manifest.to_json()) == loaded.manifest
    assert loaded.manifest.files[0].runtime == "ort"


def test_a_changed_or_missing_file_is_noticed(tmp_path):
    path = make(tmp_path / "model").folder / "model_fp32.onnx"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed"):
        Artifact.load(tmp_path / "model")
    path.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        Artifact.load(tmp_path / "model")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema_version": 99}'])
def test_an_unreadable_manifest_is_one_line(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"cannot be read .*Export it again"):
        Artifact.load(tmp_path)


def test_a_field_of_a_later_version_is_left_out(tmp_path):
    made = make(tmp_path / "model")
    data = json.loads((made.folder / "manifest.json").read_text())
    data["files"][0]["colour"] = "red"
    (made.folder / "manifest.json").write_text(json.dumps(data))
    assert Artifact.load(made.folder).manifest == made.manifest


def test_the_newest_artifact_is_the_one_written_last(tmp_path):
    with pytest.raises(ArtifactError, match="no artifact under"):
        Artifact.newest(tmp_path)
    for name, age in (("a", 1), ("b", 3), ("c", 2), (".half", 9)):
        path = make(tmp_path / name).folder / "manifest.json"
        os.utime(path, (age, age))
    assert Artifact.newest(tmp_path).folder.name == "b"
