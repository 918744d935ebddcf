"""A manifest is read whole and right, or refused in one line, whatever it holds."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import artifact, onnx_classifier

from edgeshuffle.artifact import Artifact
from edgeshuffle.errors import ArtifactError
from edgeshuffle.manifest import MAX_SIDE, Manifest


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact")
    onnx_classifier(folder / "m.onnx", np.ones((4, 3), np.float32), np.zeros(4, np.float32), 4)
    return artifact(folder, [("m.onnx", "fp32")], num_classes=4, size=4)


def changed(made, *keys, to):
    """The manifest's text with one value replaced."""
    data = json.loads(made.manifest.to_json())
    part = data
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    return json.dumps(data)


LINE = r"^[^\n]+$"
NAMES = [
    "../m.onnx", "a/m.onnx", "/etc/m.onnx", ".m.onnx", "-m.onnx", "m.py", "ort.py", "labels.txt",
    "manifest.json", "m.onnx.py", "m.tflite", "", ".onnx", "m\n.onnx", "m .onnx", "m\u2028.onnx",
    "m" * 300 + ".onnx", "m\\n.onnx", "m:.onnx",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_files_have_plain_names_with_their_formats_ending(made, name):
    with pytest.raises(ValueError, match="no name of a file"):
        Manifest.from_json(changed(made, "files", 0, "path", to=name))


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (("schema_version",), [2, "1", None, 1.5]),
        (("source",), [None, [], "demo", 3]),
        (("passes",), [None, {}, ["fold"]]),
        (("quantization",), [[], "int8"]),
        (("metrics",), [None, [], 1]),
        (("tools",), [{"numpy": 2}, []]),
        (("num_classes",), [0, -4, 5, 4.0, True, 2**70]),
        (("macs",), [-1, "0", None]),
        (("files",), [{}, None, "m.onnx", [None], [{}]]),
        (("files", 0, "format"), ["pickle", None, "tflite"]),
        (("files", 0, "precision"), ["int4", None]),
        (("files", 0, "bytes"), [0, -1, 2**63, "9", 1.5]),
        (("files", 0, "sha256"), ["", "0" * 63, "G" * 64, None]),
        (("files", 0, "ops"), [[], {"Conv": "1"}]),
        (("files", 0, "input", "shape"), [[], [1, 3, 4, 0], [-1, -3, 4, 4], [1.0, 3, 4, 4], None]),
        (("files", 0, "input", "scale"), [0.0, -1.0, "1"]),
        (("files", 0, "input", "zero_point"), [999, 0.5]),
        (("preprocess", "resize"), [0, -1, MAX_SIDE + 1, 10**12, 4.0, True, None]),
        (("preprocess", "crop"), [0, 8, MAX_SIDE + 1]),
        (("preprocess", "mean"), [[0, 0], [0, 0, 0, 0], 0.5, ["0", 0, 0], [1e300, 0, 0]]),
        (("preprocess", "std"), [[0, 1, 1], [-1, 1, 1], [1e300, 1, 1], None]),
        (("labels",), [[], {"path": "x.txt", "count": 4, "sha256": "0" * 64},
                       {"path": "labels.txt", "count": 3, "sha256": "0" * 64}]),
        (("proof",), [[], {}, {"source": 1}]),
        (("warnings",), ["low", [1]]),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_every_field_is_typed_and_bounded(made, keys, values):
    for value in values:
        with pytest.raises(ValueError, match=LINE):
            Manifest.from_json(changed(made, *keys, to=value))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(made, number):
    text = made.manifest.to_json().replace('"resize": 4', f'"resize": {number}')
    with pytest.raises(ValueError, match=LINE):
        Manifest.from_json(text)
    text = changed(made, "preprocess", "std", to=[1, 1, "here"]).replace('"here"', number)
    with pytest.raises(ValueError, match=LINE):
        Manifest.from_json(text)


def test_two_files_of_one_name_are_refused(made):
    files = json.loads(made.manifest.to_json())["files"]
    other = copy.deepcopy(files[0])
    other["path"] = "M.onnx"
    with pytest.raises(ValueError, match="the same name"):
        Manifest.from_json(changed(made, "files", to=[files[0], other]))


def test_a_hostile_name_never_leaves_the_folder(made, tmp_path):
    (tmp_path / "manifest.json").write_text(changed(made, "files", 0, "path", to="../../x.onnx"))
    with pytest.raises(ArtifactError, match="no name of a file of the format onnx"):
        Artifact.load(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '"' + "x" * 17 * 2**20 + '"'])
def test_what_is_too_deep_or_too_long_is_one_line(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match="cannot be read") as caught:
        Artifact.load(tmp_path)
    assert len(str(caught.value)) < 600


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def paths(data, so_far=()):
    yield so_far
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from paths(data[key], (*so_far, key))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), value=PLAIN)
def test_any_value_anywhere_is_taken_whole_or_refused(made, data, value):
    where = [path for path in paths(json.loads(made.manifest.to_json())) if path]
    text = changed(made, *data.draw(st.sampled_from(where)), to=value)
    try:
        found = Manifest.from_json(text)
    except ValueError:
        return
    assert Manifest.from_json(found.to_json()) == found
