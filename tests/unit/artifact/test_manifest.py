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
from edgeshuffle.artifact.manifest import Manifest
from edgeshuffle.artifact.preprocess import MAX_PICTURE_SIDE
from edgeshuffle.errors import ArtifactError


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
        (("schema_version",), [1, 3, "2", None, 1.5]),
        (("source",), [None, [], "demo", 3]),
        (("passes",), [None, {}, ["fold"]]),
        (("quantization",), [[], "int8"]),
        (("metrics",), [None, [], 1]),
        (("tools",), [{"numpy": 2}, []]),
        (("num_classes",), [0, -4, 5, 4.0, True, None, 2**70]),
        (("macs",), [-1, "0", None]),
        (("files",), [{}, None, "m.onnx", [None], [{}]]),
        (("files", 0, "format"), ["pickle", None, "tflite"]),
        (("files", 0, "precision"), ["int4", None]),
        (("files", 0, "bytes"), [0, -1, 2**63, "9", 1.5]),
        (("files", 0, "sha256"), ["", "0" * 63, "G" * 64, None]),
        (("files", 0, "ops"), [[], {"Conv": "1"}]),
        (("files", 0, "input", "shape"), [[], [1, 3, 4, 0], [-1, -3, 4, 4], [2**31 - 1, 3, 4, 4],
                                          [1.0, 3, 4, 4], None]),
        (("files", 0, "input", "scale"), [0.0, -1.0, "1"]),
        (("files", 0, "input", "zero_point"), [999, 0.5]),
        (("files", 0, "outputs"), [[], None, [{}], "logits", [[]]]),
        (("files", 0, "outputs", 0, "shape"), [[], [1, 5], [0, 4], [2, 2], [1, 4.0], None]),
        (("preprocess", "resize"), [0, -1, MAX_PICTURE_SIDE + 1, 10**12, 4.0, True, None]),
        (
            ("preprocess", "crop"),
            [4, [0, 4], [4, 8], [4], [4, 4, 4], [4, MAX_PICTURE_SIDE + 1], [4.0, 4]],
        ),
        (("preprocess", "mean"), [[0, 0], [0, 0, 0, 0], 0.5, ["0", 0, 0], [1e300, 0, 0]]),
        (("preprocess", "channels"), ["gray", "rgba", "yuv", None, 3]),
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


def detector(made, *shapes, num_classes=None, names=None):
    """The manifest's text with outputs of these shapes."""
    data = json.loads(made.manifest.to_json())
    one = data["files"][0]["outputs"][0]
    names = names or [f"out{index}" for index in range(len(shapes))]
    data["files"][0]["outputs"] = [
        {**one, "name": name, "shape": shape, "layout": "ND"}
        for name, shape in zip(names, shapes, strict=True)
    ]
    data["num_classes"] = num_classes
    return json.dumps(data)


def test_what_gives_more_than_one_number_a_class_is_no_classifier(made):
    for shapes in ([[1, 4], [1, 4]], [[1, 4, 2]], [[1, 85, 22, 22]]):
        found = Manifest.from_json(detector(made, *shapes))
        assert found.num_classes is None
        assert [list(end.shape) for end in found.files[0].outputs] == shapes
        with pytest.raises(ValueError, match="does not give 4 classes"):
            Manifest.from_json(detector(made, *shapes, num_classes=4))
    assert Manifest.from_json(detector(made, [1, 4, 1, 1], num_classes=4)).num_classes == 4


def test_outputs_have_names_of_their_own_and_are_not_countless(made):
    with pytest.raises(ValueError, match="two outputs of one name"):
        Manifest.from_json(detector(made, [1, 4], [1, 2], names=["a", "a"]))
    with pytest.raises(ValueError, match="cannot have 65 outputs"):
        Manifest.from_json(detector(made, *[[1, 4]] * 65))


def test_files_give_the_same_outputs(made):
    data = json.loads(detector(made, [1, 2, 3, 5], [1, 7]))
    other = copy.deepcopy(data["files"][0])
    other["path"] = "m.tflite"
    other["format"] = "tflite"
    other["outputs"][0]["shape"] = [1, 3, 5, 2]
    data["files"].append(other)
    assert len(Manifest.from_json(json.dumps(data)).files) == 2
    other["outputs"].reverse()
    with pytest.raises(ValueError, match=r"does not give what 'm\.onnx' does"):
        Manifest.from_json(json.dumps(data))


def test_an_older_manifest_is_one_line_that_says_export_again(made, tmp_path):
    (tmp_path / "manifest.json").write_text(changed(made, "schema_version", to=1))
    with pytest.raises(ArtifactError, match=r"an older edgeshuffle wrote it.*Export it again"):
        Artifact.load(tmp_path)


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
