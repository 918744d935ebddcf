"""`compare` of models with several outputs, and with batches."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from networks import Graph
from small_detectors import GRID, SIDES, detector, expected_outputs
from small_models import run

from edgeshuffle.metrics import sqnr_db
from edgeshuffle.runner.compare.layout import by_channel

PIXELS = np.random.default_rng(2).integers(0, 256, (4, *SIDES, 3), dtype=np.uint8)
IMAGES = (PIXELS.astype(np.float32) / 255).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("batch", [1, 2])
def test_all_outputs_are_layers_and_nothing_agrees_on_classes(tmp_path, capsys, batch):
    detector(tmp_path / "made", batch)
    np.savez(tmp_path / "x.npz", x=PIXELS)
    assert run("compare", tmp_path / "made", "--data", tmp_path / "x.npz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["agreement"]) == (4, {})
    assert found["outputs"] == ["map", "mean", "which"]
    layers = {layer["name"]: layer for layer in found["layers"]}
    expected = sqnr_db(expected_outputs(IMAGES)[0], expected_outputs(IMAGES, GRID)[0])
    assert layers["map"]["sqnr_db"]["onnx"] == pytest.approx(expected, abs=0.05)
    assert layers["map"]["sqnr_db"]["tflite"] == pytest.approx(expected, abs=0.05)
    assert layers["which"]["sqnr_db"] == {"onnx": None, "tflite": None}


def test_the_table_ends_with_a_line_an_output(tmp_path, capsys):
    detector(tmp_path / "made")
    np.savez(tmp_path / "x.npz", x=PIXELS)
    assert run("compare", tmp_path / "made", "--data", tmp_path / "x.npz") == 0
    shown = capsys.readouterr().out
    assert "Output which: onnx equal dB, tflite equal dB." in shown
    assert "Same largest class" not in shown


def test_channels_come_first_in_every_layout():
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    channels = by_channel(values)
    assert channels.shape == (3, 40)
    np.testing.assert_array_equal(channels[1, :20], values[0, 1].reshape(-1))
    np.testing.assert_array_equal(by_channel(values.transpose(0, 2, 3, 1), nhwc=True), channels)
    np.testing.assert_array_equal(by_channel(values[0], nhwc=True), by_channel(values[0]))
    assert by_channel(np.arange(7)).shape == (1, 7)


def test_values_between_integers_have_the_scale_of_these(tmp_path, capsys):
    graph = Graph(size=32)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    wide = graph.add("Resize", x, "", scales, mode="linear")[0]
    graph.channels[wide], graph.sizes[wide] = 8, 32
    onnx.save(graph.classifier(graph.relu(graph.conv(wide, 8))), tmp_path / "given.onnx")
    photos = np.random.default_rng(4).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=photos)
    data = ("--calib", tmp_path / "x.npz", "--recipe", "fast", "-o", tmp_path / "out")
    assert run("export", "--onnx", tmp_path / "given.onnx", "--int8", *data) == 0
    capsys.readouterr()
    code = run("compare", tmp_path / "out", "--data", tmp_path / "x.npz", "--json")
    layers = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert code == 0
    assert layers[wide]["sqnr_db"]["onnx"] > 30
    assert layers[wide]["sqnr_db"]["tflite"] > 30
