"""Models that give several values of any rank, from the .onnx file to files of both formats."""

from __future__ import annotations

import json
import math

import numpy as np
import onnx
import pytest
from networks import Graph
from random_graphs import unit, unit_v1
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.errors import ModelError


def pyramid(size=16):
    """A feature extractor: two stages, a grouped convolution, pooled features, scores."""
    graph = Graph(size=size)
    x = graph.max_pool(graph.relu(graph.conv("input", 16, 3, 2)))
    first = unit(graph, unit(graph, x, "5d", down=True), "5d")
    second = unit_v1(graph, graph.relu(graph.conv(first, 24)), "5d", 3)
    pooled = graph.add("GlobalAveragePool", second)[0]
    flat = graph.add("Flatten", pooled)[0]
    scores = graph.conv(second, 3)
    rows = graph.transpose(graph.reshape(scores, 1, 3, graph.sizes[scores] ** 2), 0, 2, 1)
    return graph.model(first, second, flat, graph.add("Sigmoid", rows)[0])


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    onnx.save(pyramid(), folder / "pyramid.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "calib.npz", x=pixels)
    return folder


def test_each_output_is_proved_and_measured(given, tmp_path):
    arguments = ("--onnx", given / "pyramid.onnx", "--int8", "--calib", given / "calib.npz")
    assert run("export", *arguments, "-o", tmp_path / "out") == 0
    manifest = Artifact.load(tmp_path / "out").manifest
    names = [value.name for value in onnx.load(given / "pyramid.onnx").graph.output]
    assert manifest.num_classes is None
    for file in manifest.files:
        assert [output.name for output in file.outputs] == names
        found = manifest.metrics["files"][file.path]
        assert found["agreement"] is None
        ratios = [found["outputs"][name]["sqnr_db"] or math.inf for name in names]
        assert (found["sqnr_db"] or math.inf) == min(ratios)
        assert min(ratios) > (100 if file.precision == "fp32" else 25)
    assert sorted(manifest.quantization["outputs"]) == sorted(names)
    reasons = left(manifest)
    assert any("groups of a grouped convolution" in reason for reason in reasons)
    assert not any("not a row of whole channels" in reason for reason in reasons)


def left(manifest):
    return [reason for entry in manifest.passes for reason in entry["left"]]


def test_what_only_classifiers_have_is_refused(given, tmp_path, capsys):
    arguments = ("--onnx", given / "pyramid.onnx", "--int8", "--calib", given / "calib.npz")
    drop = ("--max-drop", 1, "--eval", given / "calib.npz")
    assert run("export", *arguments, *drop, "-o", tmp_path / "out") == ModelError.exit_code
    assert "what a classifier may lose" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_json_names_the_outputs(given, tmp_path, capsys):
    arguments = ("--onnx", given / "pyramid.onnx", "--json", "-o", tmp_path / "out")
    assert run("export", *arguments) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [len(file["outputs"]) for file in files] == [4, 4]
