"""Where class names come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from foreign_networks import Staged, settle
from PIL import Image
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.class_names import read_class_names
from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.converter.export.labels import find_names
from edgeshuffle.errors import DataError, WeightsError

NAMES = ("ant", "bee", "cat")


@pytest.mark.parametrize(
    "entry",
    [
        {"class_to_idx": {"bee": 1, "ant": 0, "cat": 2}},
        {"idx_to_class": {2: "cat", 1: "bee", 0: "ant"}},
        {"idx_to_class": {"2": "cat", "1": "bee", "0": "ant"}},
        {"names": ["ant", "bee", "cat"]},
        {"names": {0: "ant", 1: "bee", 2: "cat"}},
        {"classes": NAMES},
        {"names": [1, 2, 3], "classes": NAMES},
        {"names": ["only one"], "classes": NAMES},
        {"class_to_idx": {"ant": 0, "bee": 0, "cat": 1}, "classes": NAMES},
        {"class_to_idx": {"ant": 1, "bee": 2, "cat": 3}, "classes": NAMES},
        {"classes": ["ant\n", "\x1b", "cat"], "names": NAMES},
    ],
)
def test_names_of_a_checkpoint(entry):
    names, notes = find_names(entry, (), 3)
    assert names == NAMES
    assert "of the checkpoint (`labels` sets them)" in notes[0]


@pytest.mark.parametrize("value", [3, "names", [["a"]], {"a": True, "b": 1}, {0: 1}])
def test_what_is_no_set_of_names_is_told_of(value):
    told = "labels: 'names' of the checkpoint has no list of names for 2 classes, and is not used"
    assert find_names({"names": value}, (), 2) == (None, (told,))


@pytest.mark.parametrize("value", [None, [], {}])
def test_nothing_is_no_set_of_names(value):
    assert find_names({"names": value}, (), 2) == (None, ())


def test_names_of_another_number_of_classes_are_told_of():
    names, notes = find_names({"classes": NAMES}, (), 5)
    assert names is None
    assert "has 3 names for 5 classes" in notes[0]
    assert find_names({"classes": NAMES}, (), None) == (None, ())


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("bee", "cat", "ant", ".git"), NAMES),
        (("ant", "bee"), None),
        (("0", "1", "2"), None),
        (("n01440764", "n01443537", "n01484850"), None),
    ],
)
def test_names_of_class_folders(tmp_path, folders, expected):
    for name in folders:
        (tmp_path / name).mkdir()
    (tmp_path / "zoo.txt").touch()
    names, notes = find_names({}, (tmp_path / "none", tmp_path / "zoo.txt", tmp_path), 3)
    assert names == expected
    assert bool(notes) == (expected is not None)


def test_files_of_names(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("ant\r\nbee\ncat\n")
    assert read_class_names(file) == NAMES
    for raw, message in (
        (b"", "nothing in it"),
        (b"a\n\nb", "empty line"),
        (b"\xff", "no file of"),
    ):
        file.write_bytes(raw)
        with pytest.raises(DataError, match=message):
            read_class_names(file)
    with pytest.raises(DataError, match="no file of class names"):
        read_class_names(tmp_path)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A checkpoint with names, and images in folders of others."""
    folder = tmp_path_factory.mktemp("given")
    state = settle(Staged(classes=3)).state_dict()
    torch.save({"state_dict": state}, folder / "nameless.pth")
    torch.save({"state_dict": state, "classes": list(NAMES)}, folder / "named.pth")
    random = np.random.default_rng(0)
    for name in ("x", "y", "z"):
        (folder / "images" / name).mkdir(parents=True)
        picture = Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8))
        picture.save(folder / "images" / name / "1.png")
    (folder / "names.txt").write_text("u\nv\nw\n")
    return folder


@pytest.mark.parametrize(
    ("weights", "file", "images", "expected"),
    [
        ("nameless", False, False, None),
        ("named", False, False, NAMES),
        ("named", True, True, ("u", "v", "w")),
        ("nameless", False, True, ("x", "y", "z")),
    ],
)
def test_the_nearest_names_are_taken(given, tmp_path, weights, file, images, expected):
    options = ExportOptions(
        weights=str(given / f"{weights}.pth"),
        resolution=32,
        formats=("onnx",),
        labels=given / "names.txt" if file else None,
        calib=given / "images" if images else None,
        output=tmp_path / "out",
    )
    made = export(options)
    assert Artifact.load(tmp_path / "out").labels == expected
    told = [note for note in made.notes if note.startswith("labels: ")]
    assert bool(told) == (expected is not None and not file)


def test_too_few_names_are_refused(given, tmp_path, capsys):
    (tmp_path / "two.txt").write_text("a\nb\n")
    given_ones = ("--weights", given / "named.pth", "--resolution", 32, "--format", "onnx")
    arguments = ("export", *given_ones, "-o", tmp_path / "out", "--labels")
    assert run(*arguments, tmp_path / "two.txt") == WeightsError.exit_code
    assert "2 class names for 3 classes" in capsys.readouterr().err
    assert run(*arguments, tmp_path / "none.txt") == DataError.exit_code
    assert "Check the path given to --labels" in capsys.readouterr().err
