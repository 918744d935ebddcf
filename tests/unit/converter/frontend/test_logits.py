"""What turns logits into probabilities is left out on demand."""

from __future__ import annotations

import onnx
import pytest
from networks import Graph, noise, run_onnx
from onnx import TensorProto, helper
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.frontend.logits import drop_probabilities
from edgeshuffle.errors import ModelError

SIZE = 32


def ending(*kinds):
    """A classifier, and the same followed by these operators."""
    graph = Graph(size=SIZE)
    plain = graph.classifier(graph.relu(graph.conv("input", 6, 3, 2)))
    logits = plain.graph.output[0].name
    for kind in kinds:
        attributes = {"axis": 1} if kind != "Sigmoid" else {}
        logits = graph.add(kind, logits, **attributes)[0]
    whole = graph.model(logits)
    if "ArgMax" in kinds:
        whole.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return plain, onnx.shape_inference.infer_shapes(whole)


@pytest.mark.parametrize(
    "kinds",
    [("Softmax",), ("LogSoftmax",), ("Sigmoid",), ("ArgMax",), ("Softmax", "ArgMax")],
)
def test_the_output_keeps_its_name_and_is_what_comes_before(kinds):
    plain, whole = ending(*kinds)
    found, dropped = drop_probabilities(whole)
    onnx.checker.check_model(found, full_check=True)
    assert set(dropped) == set(kinds)
    assert found.graph.output[0].name == whole.graph.output[0].name
    assert len(found.graph.node) == len(plain.graph.node)
    assert (run_onnx(found, noise(SIZE)) == run_onnx(plain, noise(SIZE))).all()


def test_logits_that_are_an_output_already_stay_one():
    plain, whole = ending("Softmax")
    logits = plain.graph.output[0].name
    whole.graph.output.append(helper.make_tensor_value_info(logits, TensorProto.FLOAT, None))
    found, _ = drop_probabilities(whole)
    assert [value.name for value in found.graph.output] == [logits]


def test_nothing_to_drop():
    plain, _ = ending()
    with pytest.raises(ModelError, match="`logits` drops Softmax"):
        drop_probabilities(plain)


def test_an_export_of_logits(tmp_path, capsys):
    _, whole = ending("Softmax")
    onnx.save(whole, tmp_path / "model.onnx")
    given = ["--onnx", tmp_path / "model.onnx", "--mean", "0", "--std", "1"]
    made = tmp_path / "out"
    assert run("export", *given, "--logits", "-o", made) == 0
    assert "Softmax" in capsys.readouterr().out
    files = Artifact.load(made).manifest.files
    assert files
    assert all("Softmax" not in file.ops and "SOFTMAX" not in file.ops for file in files)
    assert run("export", "--logits", "-o", tmp_path / "other") == 2
    assert "--logits" in capsys.readouterr().err
