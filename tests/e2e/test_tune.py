"""`export --tune`: candidates are written, measured on a device, and the best one is kept."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from networks import Graph
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.export import tune
from edgeshuffle.converter.lower.measure import Cost
from edgeshuffle.errors import UnknownNameError


@pytest.fixture
def model(tmp_path):
    graph = Graph(size=32)
    x = graph.max_pool(graph.relu(graph.conv("input", 8, 3, 2)))
    x = graph.relu(graph.conv(graph.depthwise(graph.relu(graph.conv(x, 10))), 8))
    onnx.save(graph.classifier(x), tmp_path / "small.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "calib.npz", x=pixels)
    recipe = ("--fp16", "--int8", "--recipe", "fast", "--calib", tmp_path / "calib.npz")
    return ("--onnx", tmp_path / "small.onnx", *recipe)


def test_the_cheapest_candidate_is_written_and_all_are_told(model, tmp_path, monkeypatch, capsys):
    """As if the last candidate of each kind were the fastest."""
    measured = []

    def measure(device, files, progress):
        measured.append([path.read_bytes() for _, path in files])
        return "share of time", tuple(Cost(value=1 / n) for n in range(1, len(files) + 1))

    monkeypatch.setattr(tune, "measure", measure)
    assert run("export", *model, "--tune", "local", "-o", tmp_path / "out") == 0
    artifact = Artifact.load(tmp_path / "out")
    tuning = artifact.manifest.tuning
    assert tuning.unit == "share of time"
    assert len(tuning.tried) == sum(map(len, measured))
    written = {artifact.path(file).read_bytes() for file in artifact.manifest.files}
    for files in measured:
        assert len(set(files)) == len(files) > 1
        assert files[-1] in written
    for file in artifact.manifest.files:
        tried = [
            one
            for one in tuning.tried
            if (one.format, one.precision) == (file.format, file.precision)
        ]
        assert not tried or not tried[0].lowering
        chosen = {} if not tried else tried[-1].lowering
        assert {made.name: made.numbers for made in file.lowering}.items() <= chosen.items()
        assert not tried or tried[-1].chosen
    assert "% of the time without a lowering" in capsys.readouterr().out


@pytest.mark.device
def test_emulated_boards_choose_by_instructions(model, tmp_path, capsys):
    options = ("--format", "tflite", "--tune", "emulated://pi5", "--json")
    assert run("export", *model, *options, "-o", tmp_path / "out") == 0
    tuning = json.loads(capsys.readouterr().out)["tuning"]
    assert tuning["unit"] == "instructions"
    for precision in ("fp32", "fp16", "int8"):
        tried = [one for one in tuning["tried"] if one["precision"] == precision]
        assert len(tried) > 1
        (chosen,) = (one for one in tried if one["chosen"])
        assert chosen["cost"] == min(one["cost"] for one in tried) < tried[0]["cost"]


def test_what_cannot_be_measured_is_refused(model, tmp_path, capsys):
    out = ("-o", tmp_path / "out")
    assert run("export", *model, "--tune", "emulated://pi9", *out) == UnknownNameError.exit_code
    assert "Known: pi3, pi4, pi5" in capsys.readouterr().err
    options = ("--tune", "local", "--batch", "dynamic", "--format", "onnx")
    assert run("export", *model, *options, *out) == UnknownNameError.exit_code
    assert "--tune measures files whose batch is known" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
