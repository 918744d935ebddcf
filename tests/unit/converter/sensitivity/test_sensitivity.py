"""Layers of models with several outputs are ranked by their noise in all of these."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from networks import Graph
from onnx import TensorProto, helper
from small_models import run

from edgeshuffle.converter.sensitivity.layers import noise
from edgeshuffle.runner.inspect import inspect_file

RANDOM = np.random.default_rng(1)


def test_noise_is_that_of_all_outputs_in_relation_to_their_size():
    small, large = RANDOM.standard_normal((2, 3, 7))
    worse = [small + 0.1, 1000 * large]
    alone = noise([small], [small + 0.1])
    assert noise([small, 1000 * large], worse) == pytest.approx(alone / 2)
    assert noise([small, 0 * large], [small + 0.1, 0 * large]) == pytest.approx(alone)
    assert noise([small], [small]) == 0


def test_a_model_of_two_outputs(tmp_path, capsys):
    graph = Graph(size=32)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    one, other = graph.conv(x, 6), graph.conv(graph.relu(graph.conv(x, 8)), 4)
    proto = graph.model(one)
    proto.graph.output.append(helper.make_tensor_value_info(other, TensorProto.FLOAT, None))
    onnx.save(onnx.shape_inference.infer_shapes(proto), tmp_path / "given.onnx")
    np.savez(tmp_path / "x.npz", x=RANDOM.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
    calib = ("--int8", "--calib", tmp_path / "x.npz", "--recipe", "fast")
    out = tmp_path / "out"
    assert run("export", "--onnx", tmp_path / "given.onnx", *calib, "-o", out) == 0
    capsys.readouterr()
    assert run("sensitivity", out, "--data", tmp_path / "x.npz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"] is None
    assert list(found["outputs"]) == [one, other]
    assert min(found["outputs"].values()) < found["sqnr_db"] < max(found["outputs"].values())
    assert len(found["layers"]) == 4
    assert sum(layer["noise_share"] for layer in found["layers"]) == pytest.approx(100)
    assert run("sensitivity", out, "--data", tmp_path / "x.npz") == 0
    shown = capsys.readouterr().out
    assert "Each output's SQNR in dB: " in shown
    assert "agree" not in shown
    assert run("evaluate", out, "--data", tmp_path / "x.npz") == 0
    assert run("compare", out, "--data", tmp_path / "x.npz") == 0


def test_a_file_with_a_batch_is_ranked_as_one_without(tmp_path, capsys):
    graph = Graph(size=32)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    onnx.save(graph.classifier(graph.relu(graph.conv(x, 8))), tmp_path / "given.onnx")
    np.savez(tmp_path / "x.npz", x=RANDOM.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
    calib = ("--int8", "--calib", tmp_path / "x.npz", "--recipe", "fast", "--format", "onnx")
    found = []
    for batch in (1, 3):
        out = tmp_path / f"out{batch}"
        given = ("--onnx", tmp_path / "given.onnx", "--batch", batch)
        assert run("export", *given, *calib, "-o", out) == 0
        capsys.readouterr()
        assert run("sensitivity", out, "--data", tmp_path / "x.npz", "--json") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    one, three = (inspect_file(tmp_path / f"out{batch}" / "given_fp32.onnx") for batch in (1, 3))
    assert (one.batch, three.batch) == (1, 3)
    assert one.macs == three.macs > 0
