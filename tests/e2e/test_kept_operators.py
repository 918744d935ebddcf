"""Operators that nobody knows stay in float, and shuffles around them are dissolved."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import Graph
from onnx import helper
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.errors import ModelError


def strange(size=16):
    """A stage with an operator that is not known in a branch, and two more at the end."""
    graph = Graph(size=size)
    x = graph.max_pool(graph.relu(graph.conv("input", 8, 3, 2)))
    for _ in range(2):
        kept, y = graph.split(x, 4, 4)
        y = graph.conv(graph.depthwise(graph.relu(graph.conv(y, 4))), 4)
        y = graph._like(graph.add("Softplus", y)[0], y)
        x = graph.shuffle(graph.concat(kept, y))
    x = graph.conv(x, 8)
    largest, places = graph.add("TopK", x, graph.ints(3), outputs=2, axis=1)
    del places
    return graph.model(graph._like(largest, x, 3), graph._like(graph.add("Erf", x)[0], x))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    onnx.save(strange(), folder / "strange.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "calib.npz", x=pixels)
    return folder


@pytest.mark.parametrize("recipe", ["fast", "accurate"])
def test_they_are_kept_in_float_and_tflite_is_left_out(given, tmp_path, recipe, capsys):
    arguments = ("--onnx", given / "strange.onnx", "--int8", "--calib", given / "calib.npz")
    assert run("export", *arguments, "--recipe", recipe, "-o", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "no TFLite file" in shown
    for kind in ("Softplus", "TopK", "Erf"):
        assert f"{kind} (node" in shown
    artifact = Artifact.load(tmp_path / "out")
    assert [file.format for file in artifact.manifest.files] == ["onnx", "onnx"]
    for file in artifact.manifest.files:
        ops = file.ops
        assert not {"Reshape", "Transpose"} & set(ops)
        assert ops["Softplus"] == 2
        found = artifact.manifest.metrics["files"][file.path]["sqnr_db"]
        assert found is None or found > (100 if file.precision == "fp32" else 25)


def test_tflite_alone_is_refused_with_all_reasons(given, tmp_path, capsys):
    arguments = ("--onnx", given / "strange.onnx", "--format", "tflite", "-o", tmp_path / "out")
    assert run("export", *arguments) == ModelError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.count("(node") == 4
    assert "--format onnx" in line


def test_a_quantized_model_is_told_to_give_its_float_form(tmp_path, capsys):
    graph = Graph(size=8)
    x = graph.conv("input", 4)
    scale, zero = graph.constant(np.float32(0.1)), graph.constant(np.uint8(3))
    x = graph.add("DequantizeLinear", graph.add("QuantizeLinear", x, scale, zero)[0], scale, zero)
    onnx.save(graph.model(x[0]), tmp_path / "quantized.onnx")
    arguments = ("--onnx", tmp_path / "quantized.onnx", "-o", tmp_path / "out")
    assert run("export", *arguments) == ModelError.exit_code
    assert "Give its float form" in capsys.readouterr().err


def test_branches_are_refused(tmp_path, capsys):
    graph = Graph(size=8)
    x = graph.conv("input", 4)
    condition = graph.add("Greater", graph.add("ReduceMax", x, keepdims=0)[0],
                          graph.constant(np.float32(0)))[0]  # fmt: skip
    branches = [
        helper.make_graph(
            [helper.make_node(op, [x], [f"{op}_out"])],
            op,
            [],
            [helper.make_tensor_value_info(f"{op}_out", onnx.TensorProto.FLOAT, [1, 4, 8, 8])],
        )
        for op in ("Relu", "Sigmoid")
    ]
    chosen = graph.add("If", condition, then_branch=branches[0], else_branch=branches[1])[0]
    onnx.save(graph.model(graph._like(chosen, x)), tmp_path / "branches.onnx")
    arguments = ("--onnx", tmp_path / "branches.onnx", "-o", tmp_path / "out")
    assert run("export", *arguments) == ModelError.exit_code
    assert "without branches" in capsys.readouterr().err
