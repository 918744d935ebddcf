"""`evaluate --per-class` and `--wrong` on a tiny real model, against counts by numpy."""

import json

import numpy as np
import pytest
from PIL import Image
from small_models import artifact, named, onnx_classifier, run, without_classes

from edgeshuffle.dataset.pictures import FilePictures
from edgeshuffle.errors import ArtifactError, DataError, ModelError
from edgeshuffle.runner.mistakes import Wrong
from edgeshuffle.runner.wrong_pictures import write_wrong_pictures

CLASSES, N, GRID = 10, 120, (0.25, 128)
RANDOM = np.random.default_rng(8)
WEIGHT = RANDOM.standard_normal((CLASSES, 3)).astype(np.float32)
PIXELS = np.broadcast_to(RANDOM.integers(0, 256, (N, 1, 1, 3), dtype=np.uint8), (N, 4, 4, 3)).copy()
LOGITS = PIXELS[:, 0, 0].astype(np.float32) / 255 @ WEIGHT.T
QUANTIZED = (np.clip(np.round(LOGITS / GRID[0]) + GRID[1], 0, 255) - GRID[1]) * GRID[0]
FLOAT, INT8 = LOGITS.argmax(1), QUANTIZED.argmax(1)
LABELS = np.where(RANDOM.random(N) < 0.6, FLOAT, RANDOM.integers(0, CLASSES, N))
NAMES = ("T-shirt/top", "ankle boot", *(f"n{index}" for index in range(2, CLASSES)))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "made"
    path.mkdir()
    onnx_classifier(path / "model_fp32.onnx", WEIGHT, np.zeros(CLASSES, np.float32), 4)
    onnx_classifier(path / "model_int8.onnx", WEIGHT, np.zeros(CLASSES, np.float32), 4, GRID)
    files = [("model_fp32.onnx", "fp32"), ("model_int8.onnx", "int8")]
    artifact(path, files, num_classes=CLASSES, size=4)
    named(path, NAMES)
    np.savez(tmp_path / "data.npz", x=PIXELS, y=LABELS)
    return path


def evaluated(capsys, *arguments):
    assert run("evaluate", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_classes_confusions_and_changes_are_counted(folder, tmp_path, capsys):
    data = ("--data", tmp_path / "data.npz")
    assert evaluated(capsys, folder, *data)["mistakes"] == []
    found = evaluated(capsys, folder, *data, "--per-class")
    assert found["labels"] == list(NAMES)
    for file, given in zip(found["mistakes"], (FLOAT, INT8), strict=True):
        for one in file["classes"]:
            own, told = one["index"] == LABELS, one["index"] == given
            assert (one["n"], one["given"]) == (own.sum(), told.sum())
            assert one["right"] == (own & told).sum()
            assert one["label"] == NAMES[one["index"]]
            if one["n"]:
                assert one["recall"] == pytest.approx(100 * (own & told).sum() / own.sum())
            if one["given"]:
                assert one["precision"] == pytest.approx(100 * (own & told).sum() / told.sum())
        counts = [one["n"] for one in file["confusions"]]
        assert counts == sorted(counts, reverse=True)
        assert sum(counts) == (given != LABELS).sum()
        assert all(
            one["n"] == ((one["truth"] == LABELS) & (one["given"] == given)).sum()
            for one in file["confusions"]
        )
        changed = np.flatnonzero(given != FLOAT)
        assert [one["image"] for one in file["changes"]] == [f"data_{row}" for row in changed]
        assert [one["given"] for one in file["changes"]] == given[changed].tolist()
        assert [one["reference"] for one in file["changes"]] == FLOAT[changed].tolist()
        assert [one["truth"] for one in file["changes"]] == LABELS[changed].tolist()
    assert found["mistakes"][1]["changes"]  # otherwise this test could not tell much


def test_the_worst_pictures_are_copied_under_what_they_were_taken_for(folder, tmp_path, capsys):
    data = ("--data", tmp_path / "data.npz", "--limit", 50)
    target = tmp_path / "wrong"
    found = evaluated(capsys, folder, *data, "--wrong", target, "--worst", 5)
    powers = np.exp(QUANTIZED)
    shares = powers / powers.sum(1, keepdims=True)
    (_, int8) = found["mistakes"]
    margins = [one["margin"] for one in int8["wrong"]]
    assert margins == sorted(margins, reverse=True)
    files = sorted(target.iterdir())
    assert len(files) == 5
    for rank, (file, one) in enumerate(zip(files, int8["wrong"], strict=False), 1):
        row = int(one["image"].removeprefix("data_"))
        wanted = shares[row].max() - shares[row, LABELS[row]]
        assert one["margin"] == pytest.approx(wanted, abs=1e-4)
        truth, given = (
            NAMES[label].replace("/", "-").replace(" ", "-") for label in (LABELS[row], INT8[row])
        )
        assert file.name == f"{rank}_{truth}_as_{given}_data_{row}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(file)), PIXELS[row])
    code = ArtifactError.exit_code
    assert run("evaluate", folder, *data, "--wrong", target) == code
    assert "no empty folder" in capsys.readouterr().err


def test_picture_files_are_copied_as_they_are(folder, tmp_path, capsys):
    wrong = int(np.flatnonzero(LABELS != INT8)[0])
    place = tmp_path / "photos" / str(LABELS[wrong])
    place.mkdir(parents=True)
    Image.fromarray(PIXELS[wrong]).save(place / "a b.PNG")
    evaluated(capsys, folder, "--data", tmp_path / "photos", "--wrong", tmp_path / "wrong")
    (copied,) = (tmp_path / "wrong").iterdir()
    assert copied.name.endswith("_a-b.png")
    assert copied.read_bytes() == (place / "a b.PNG").read_bytes()


def test_long_names_of_three_bytes_a_letter_make_names_that_systems_take(tmp_path):
    place = tmp_path / f"{'画' * 80}.png"
    Image.new("RGB", (2, 2)).save(place)
    wrong = Wrong(number=0, image=place.name, truth=0, given=1, margin=0.5)
    (tmp_path / "made").mkdir()
    labels = ("長" * 90, "é" * 90)
    write_wrong_pictures(tmp_path / "made", [wrong], FilePictures((place,)), labels)
    (made,) = (tmp_path / "made").iterdir()
    assert made.name == f"1_{'長' * 24}_as_{'é' * 36}_{'画' * 24}.png"


@pytest.mark.parametrize("classes", [10, 40])
def test_tables_fit(folder, tmp_path, capsys, monkeypatch, classes):
    monkeypatch.setenv("COLUMNS", "80")
    if classes == 40:
        weight = RANDOM.standard_normal((classes, 3)).astype(np.float32)
        files = [("model_fp32.onnx", "fp32")]
        (folder / "labels.txt").unlink()
        onnx_classifier(folder / "model_fp32.onnx", weight, np.zeros(classes, np.float32), 4)
        artifact(folder, files, num_classes=classes, size=4)
        np.savez(tmp_path / "data.npz", x=PIXELS, y=np.arange(N) % classes)
    data = ("--data", tmp_path / "data.npz")
    assert run("evaluate", folder, *data, "--per-class", "--worst", 7) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    if classes == 10:
        assert "0 T-shirt/top" in shown
        assert "What ort int8 changed" in shown
    else:
        assert "the 7 worst of 40" in shown
        assert "more pairs (--json has all)" in shown
    assert "Images with another label than from ort/fp32" in shown


def test_without_labels_only_changes_are_told(folder, tmp_path, capsys):
    data = ("--data", tmp_path / "data.npz", "--unlabelled")
    found = evaluated(capsys, folder, *data, "--per-class")
    for file, given in zip(found["mistakes"], (FLOAT, INT8), strict=True):
        assert (file["classes"], file["confusions"], file["wrong"]) == ([], [], [])
        assert len(file["changes"]) == (given != FLOAT).sum()
        assert all(one["truth"] is None for one in file["changes"])
    assert run("evaluate", folder, *data, "--per-class") == 0
    assert "right before" not in capsys.readouterr().out
    assert run("evaluate", folder, *data, "--wrong", tmp_path / "x") == DataError.exit_code
    assert "Leave out --wrong" in capsys.readouterr().err


def test_what_is_no_classifier_has_no_classes(folder, tmp_path, capsys):
    without_classes(folder)
    arguments = (folder, "--data", tmp_path / "data.npz", "--per-class")
    assert run("evaluate", *arguments) == ModelError.exit_code
    assert "is no classifier" in capsys.readouterr().err
