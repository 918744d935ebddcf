"""Models that are no classifiers, and batches, in `evaluate`: against what numpy works out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_detectors import GRID, SIDES, detector, expected_outputs
from small_models import run

from edgeshuffle.errors import ArtifactError
from edgeshuffle.metrics import sqnr_db
from edgeshuffle.runner.batches import chunks, in_batches
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate

N = 5
PIXELS = np.random.default_rng(2).integers(0, 256, (N, *SIDES, 3), dtype=np.uint8)
IMAGES = (PIXELS.astype(np.float32) / 255).transpose(0, 3, 1, 2)


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "x.npz", x=PIXELS, y=np.arange(N))
    return tmp_path / "x.npz"


@given(st.integers(1, 9), st.integers(1, 4))
def test_batches_are_filled_up_and_nothing_of_that_is_left(n, batch):
    images = np.arange(n * 6, dtype=np.float32).reshape(n, 1, 2, 3)
    seen = []

    def model(part):
        seen.append(len(part))
        return [part * 2, part.reshape(batch, -1).sum(1)]

    doubled, sums = in_batches(model, images, batch)
    np.testing.assert_array_equal(doubled, 2 * images)
    np.testing.assert_array_equal(sums, images.sum((1, 2, 3)))
    assert set(seen) == {batch}
    cut = list(chunks((image[None] for image in images), batch))
    np.testing.assert_array_equal(np.concatenate(cut), images)
    assert max(map(len, cut)) <= batch


@pytest.mark.parametrize("batch", [1, 2])
def test_the_number_of_cores_changes_nothing(tmp_path, data, batch, monkeypatch):
    artifact = detector(tmp_path / "made", batch)
    found = []
    for cores in (1, 4):
        monkeypatch.setattr("edgeshuffle.runner.evaluate.core_count", lambda cores=cores: cores)
        found.append(evaluate(EvaluateOptions(artifact=artifact, data=data)))
    assert found[0] == found[1]


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_every_output_of_every_file_is_compared(tmp_path, data, batch):
    found = evaluate(EvaluateOptions(artifact=detector(tmp_path / "made", batch), data=data))
    assert found.n == N
    expected = sqnr_db(expected_outputs(IMAGES)[0], expected_outputs(IMAGES, GRID)[0])
    shapes = [(batch, 3, *SIDES), (batch, 3), (batch, *SIDES)]
    for result in found.results:
        assert (result.agreement, result.top1, result.device_difference) == (None, None, None)
        assert [output.name for output in result.outputs] == ["map", "mean", "which"]
        assert [output.shape for output in result.outputs] == shapes
        first, mean, which = result.outputs
        assert which.sqnr_db is None
        assert mean.sqnr_db is None or mean.sqnr_db > 100
        if result.precision == "fp32":
            assert first.sqnr_db is None
        else:
            assert first.sqnr_db == pytest.approx(expected, abs=0.05)
            assert first.same_device_db == pytest.approx(expected, abs=0.05)
            assert result.sqnr_db == first.sqnr_db


def test_one_row_an_output_and_all_in_json(tmp_path, data, capsys):
    detector(tmp_path / "made")
    assert run("evaluate", tmp_path / "made", "--data", data) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if " map " in line]
    assert [row[:4] for row in rows] == [
        [runtime, precision, "map", "1x3x4x5"]
        for runtime in ("ort", "litert")
        for precision in ("fp32", "int8")
    ]
    assert rows[0][4] == "ref"
    assert run("evaluate", tmp_path / "made", "--data", data, "--json") == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [output["shape"] for output in results[2]["outputs"]] == [
        [1, 3, 4, 5],
        [1, 3],
        [1, 4, 5],
    ]


def test_on_a_device_files_are_compared_with_those_there_and_here(tmp_path, data, monkeypatch):
    made = detector(tmp_path / "made", 2)
    calm = evaluate(EvaluateOptions(artifact=made, data=data))
    opened = []

    class Shifted:
        """A device whose results are one quantization step more."""

        def __init__(self, file):
            self.file = file

        def run(self, images, shapes):
            opened.append(images.shape)
            grid = GRID if self.file.precision == "int8" else None
            outputs = [value.astype(np.float32) for value in expected_outputs(images, grid)]
            assert [value.shape for value in outputs] == list(shapes)
            return [outputs[0] + np.float32(GRID[0]), *outputs[1:]]

    monkeypatch.setattr(
        "edgeshuffle.runner.evaluate._on_device",
        lambda options, files, stack, progress: (None, {f.path: Shifted(f) for f in files}),
    )
    found = evaluate(EvaluateOptions(artifact=made, data=data))
    assert set(opened) == {(2, 3, *SIDES)}
    for before, after in zip(calm.results, found.results, strict=True):
        (first, mean, _), (old, *_) = after.outputs, before.outputs
        unit = 1.0 if after.precision == "int8" else GRID[0]
        assert first.device_difference == pytest.approx(unit)
        assert after.device_difference == first.device_difference
        assert mean.device_difference == pytest.approx(0, abs=1e-6)
        assert first.sqnr_db != old.sqnr_db
        if after.precision == "fp32":
            assert first.same_device_db is None


def test_an_input_that_the_manifest_does_not_know_is_refused(tmp_path, data):
    made = detector(tmp_path / "made")
    changed = json.loads((made.folder / "manifest.json").read_text())
    changed["preprocess"]["crop"] = [4, 6]
    for file in changed["files"]:
        sides = slice(2, 4) if file["format"] == "onnx" else slice(1, 3)
        file["input"]["shape"][sides] = [4, 6]
    (made.folder / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(ArtifactError, match=r"reads \(1, 3, 4, 5\), and its manifest says"):
        evaluate(EvaluateOptions(artifact=type(made).load(made.folder), data=data))


def test_outputs_that_the_manifest_does_not_know_are_refused(tmp_path, data):
    made = detector(tmp_path / "made")
    text = (made.folder / "manifest.json").read_text()
    changed = json.loads(text)
    for file in changed["files"]:
        file["outputs"][1]["shape"] = [3, 1]
    (made.folder / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(ArtifactError, match="does not give the outputs that the manifest says"):
        evaluate(EvaluateOptions(artifact=type(made).load(made.folder), data=data))
