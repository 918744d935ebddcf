from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import artifact, named, onnx_classifier, run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.class_names import class_names_text, parse_class_names
from edgeshuffle.errors import ArtifactError, DataError
from edgeshuffle.untrusted import clean

NAMES = st.text().filter(lambda name: clean(name).strip() and not {"\n", "\r"} & set(name))


@given(st.lists(NAMES))
def test_every_name_keeps_its_index(names):
    assert parse_class_names(class_names_text(names)) == tuple(map(clean, names))


@pytest.mark.parametrize("breaks", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_newline_ends_a_line(breaks):
    assert parse_class_names(f"a{breaks}b\nc\n".encode()) == ("a b", "c")


@pytest.mark.parametrize("name", ["a\nb", "a\r", "", " ", "\x00"])
def test_a_name_that_would_shift_the_others_is_refused(name):
    with pytest.raises(DataError, match="class 1"):
        class_names_text(["fine", name])


@pytest.fixture
def folder(tmp_path):
    weight, bias = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    onnx_classifier(tmp_path / "m.onnx", weight, bias, 4)
    artifact(tmp_path, [("m.onnx", "fp32")], num_classes=3, size=4)
    return named(tmp_path, ["red", "green", "blue"]).folder


def test_names_are_those_that_were_written(folder):
    assert Artifact.load(folder).labels == ("red", "green", "blue")


@pytest.mark.parametrize(
    "text", ["green\nblue\n", "red\ngreen\nblue\nlack\n", "red\nblue\ngreen\n", "", "\xff"]
)
def test_a_changed_file_is_noticed(folder, text, capsys):
    (folder / "labels.txt").write_bytes(text.encode("latin-1"))
    assert run("evaluate", folder) == ArtifactError.exit_code
    assert "labels.txt" in capsys.readouterr().err


def test_a_missing_file_is_noticed(folder):
    (folder / "labels.txt").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        Artifact.load(folder)


def test_a_file_that_the_manifest_does_not_know_is_no_label_file(tmp_path):
    onnx_classifier(tmp_path / "m.onnx", np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 4)
    artifact(tmp_path, [("m.onnx", "fp32")], num_classes=3, size=4)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    with pytest.raises(ArtifactError, match="not in the manifest"):
        Artifact.load(tmp_path)


def test_the_manifest_s_hash_is_of_what_was_loaded(folder):
    loaded = Artifact.load(folder)
    raw = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(raw + b" ")
    assert loaded.manifest_sha256 == hashlib.sha256(raw).hexdigest()
    assert Artifact.load(folder).manifest_sha256 != loaded.manifest_sha256
