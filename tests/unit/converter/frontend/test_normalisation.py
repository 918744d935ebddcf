"""A model's own normalisation becomes its preprocessing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import Graph, noise, relative_error, run_onnx
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.frontend.normalisation import take_normalisation

SIZE = 32
MEAN, STD = np.array([0.4, 0.5, 0.3]), np.array([0.2, 0.25, 0.5])


def normalising(*steps):
    """A classifier behind (operator, numbers, constant first)."""
    graph = Graph(size=SIZE)
    x = "input"
    for op, numbers, first in steps:
        array = np.asarray(numbers, np.float32)
        operands = [x, graph.constant(array.reshape(-1, 1, 1) if array.ndim else array)]
        x = graph._like(graph.add(op, *operands[:: -1 if first else 1])[0], "input")
    return graph.classifier(graph.relu(graph.conv(x, 6, 3, 2)))


SPELLINGS = [
    [("Sub", MEAN, False), ("Div", STD, False)],
    [("Add", -MEAN, True), ("Mul", 1 / STD, True)],
    [("Mul", 1 / STD, False), ("Sub", MEAN / STD, False)],
    [("Div", 2.0, False), ("Sub", MEAN / 2, False), ("Mul", 2 / STD, False)],
]


@pytest.mark.parametrize("steps", SPELLINGS)
def test_every_spelling(steps):
    proto = normalising(*steps)
    found = take_normalisation(proto)
    assert np.allclose(found.mean, MEAN)
    assert np.allclose(found.std, STD)
    assert {node.op_type for node in found.proto.graph.node}.isdisjoint({"Sub", "Div", "Add"})
    x = noise(SIZE)
    z = ((x - MEAN[:, None, None]) / STD[:, None, None]).astype(np.float32)
    assert relative_error(run_onnx(proto, x), run_onnx(found.proto, z)) < 1e-5


@pytest.mark.parametrize(
    "steps", [[], [("Sub", MEAN, True)], [("Div", 1.0, True)], [("Mul", -1.0, False)]]
)
def test_what_is_none_stays(steps):
    assert take_normalisation(normalising(*steps)) is None


def test_an_input_that_something_else_reads_stays():
    graph = Graph(size=SIZE)
    x = graph._like(graph.add("Sub", "input", graph.constant(np.float32(0.5)))[0], "input")
    assert take_normalisation(graph.classifier(graph.conv(graph.concat(x, "input"), 4))) is None


@pytest.mark.parametrize(
    ("unit", "given", "mean", "std"),
    [
        (1, [], MEAN, STD),
        (255, [], MEAN, STD),
        (1, ["--mean", "0.1", "--std", "0.5"], 0.1 + 0.5 * MEAN, 0.5 * STD),
    ],
)
def test_an_export(tmp_path, capsys, unit, given, mean, std):
    proto = normalising(("Sub", MEAN * unit, False), ("Div", STD * unit, False))
    onnx.save(proto, tmp_path / "model.onnx")
    made = tmp_path / "out"
    assert run("export", "--onnx", tmp_path / "model.onnx", *given, "-o", made) == 0
    assert "the model's own normalisation" in " ".join(capsys.readouterr().out.split())
    manifest = Artifact.load(made).manifest
    assert np.allclose(manifest.preprocess.mean, mean)
    assert np.allclose(manifest.preprocess.std, std)
    assert all("Sub" not in file.ops and "SUB" not in file.ops for file in manifest.files)
