"""Nothing that an export does between the given model and the written file is taken on trust."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from networks import Graph
from onnx import numpy_helper
from small_models import run

from edgeshuffle.artifact import Artifact, sha256
from edgeshuffle.converter.emit import onnx as onnx_writer
from edgeshuffle.converter.emit import tflite as tflite_writer
from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.converter.export.proof import TOLERANCE
from edgeshuffle.converter.export.reference import OnnxReference
from edgeshuffle.converter.passes import fold_batchnorm
from edgeshuffle.converter.plan import QuantPlan
from edgeshuffle.errors import ModelError, PassError

SIDE = 32


@pytest.fixture
def given(tmp_path):
    """A small network with a shuffle, as a user's .onnx file."""
    graph = Graph(size=SIDE)
    x = graph.relu(graph.conv("input", 8))
    x = graph.relu(graph.conv(graph.shuffle(x), 8, 3, 2))
    onnx.save(graph.classifier(x), tmp_path / "given.onnx")
    return tmp_path / "given.onnx"


def exported(given, tmp_path, **options):
    return export(ExportOptions(onnx=given, output=tmp_path / "out", **options)).artifact


def test_the_manifest_says_what_was_compared(given, tmp_path):
    manifest = exported(given, tmp_path).manifest
    proof = manifest.proof
    assert "the given ONNX file" in proof.source
    assert (proof.images, proof.images_sha256, proof.tolerance) == (0, None, TOLERANCE)
    assert proof.random_images > 0
    assert [file.path for file in proof.files] == [file.path for file in manifest.files]
    assert {file.runtime for file in proof.files} == {"ort", "litert"}
    assert proof.int8_steps is None
    assert all(file.largest_difference < 2e-5 for file in proof.files)
    assert Artifact.load(tmp_path / "out").manifest == manifest


@pytest.mark.parametrize("writer", [onnx_writer, tflite_writer])
def test_a_writer_that_swaps_two_channels_writes_nothing(given, tmp_path, monkeypatch, writer):
    emit = writer.emit

    def swapped(model, plan, **choices):
        changed = model.clone()
        conv = next(node for node in changed.graph if node.op_type == "Conv")
        weight = conv.inputs[1].const_value.numpy().copy()
        weight[[0, 1]] = weight[[1, 0]]
        conv.inputs[1].const_value = ir.tensor(weight)
        return emit(changed, plan, **choices)

    monkeypatch.setattr(writer, "emit", swapped)
    with pytest.raises(PassError, match="does not compute what the given ONNX file"):
        exported(given, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.onnx"]


MIXED = 'description = ""\ncalibrator = "mse"\nlayers = [{kind = "dense", precision = "float32"}]'


@pytest.mark.parametrize(
    ("recipe", "moved", "kept"),
    [("fast", 1, True), ("fast", 4, False), ("mixed", 3, True), ("mixed", 6, False)],
)
def test_int8_files_of_one_plan_agree_to_a_step(given, tmp_path, monkeypatch, recipe, moved, kept):
    emit = tflite_writer.emit
    np.savez(
        tmp_path / "calib.npz", x=np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), "u1")
    )
    if recipe == "mixed":
        recipe = str(tmp_path / "mixed.toml")
        (tmp_path / "mixed.toml").write_text(MIXED)
    options = {"int8": True, "recipe": recipe, "calib": tmp_path / "calib.npz"}

    def biased(model, plan, **choices):
        if plan is not None:
            name, last = list(plan.convs.items())[-1]
            scale = plan.activations[model.graph.outputs[0].name].scale
            bias = last.bias + np.rint(moved * scale / last.bias_scales).astype(np.int32)
            plan = QuantPlan(
                plan.activations, {**plan.convs, name: dataclasses.replace(last, bias=bias)}
            )
        return emit(model, plan, **choices)

    monkeypatch.setattr(tflite_writer, "emit", biased)
    if kept:
        steps = exported(given, tmp_path, **options).manifest.proof.int8_steps
        assert moved <= steps <= moved + 1
    else:
        with pytest.raises(PassError, match=r"given_int8.onnx and given_int8.tflite .* allowed"):
            exported(given, tmp_path, **options)
        assert not (tmp_path / "out").exists()


def test_a_pass_that_changes_the_result_writes_nothing(given, tmp_path, monkeypatch, capsys):
    rewrite = fold_batchnorm.run

    def wrong(model):
        outcome = rewrite(model)
        bias = next(node for node in model.graph if node.op_type == "Conv").inputs[2]
        bias.const_value = ir.tensor(bias.const_value.numpy() * np.float32(1.01))
        return outcome

    monkeypatch.setattr(fold_batchnorm, "run", wrong)
    assert run("export", "--onnx", given, "-o", tmp_path / "out") == PassError.exit_code
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "is allowed" in shown
    assert not (tmp_path / "out").exists()


def test_what_simplifying_changes_is_seen_too(given, tmp_path, monkeypatch):
    import onnxsim

    simplify = onnxsim.simplify

    def wrong(proto, **options):
        simplified, proven = simplify(proto, **options)
        weight = simplified.graph.initializer[0]
        weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
        return simplified, proven

    monkeypatch.setattr(onnxsim, "simplify", wrong)
    with pytest.raises(PassError, match="does not compute"):
        exported(given, tmp_path)


def test_a_model_later_than_onnx_runtime_is_run_as_it_is_converted(given, monkeypatch):
    import onnxruntime

    image = np.ones((1, 3, SIDE, SIDE), np.float32)
    as_given = OnnxReference(given, sha256(given), None)
    expected = as_given(image)
    opened = onnxruntime.InferenceSession

    def of_converted_only(model, *arguments, **options):
        if model == str(given):
            raise ValueError("Unsupported model IR version")
        return opened(model, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", of_converted_only)
    converted = OnnxReference(given, sha256(given), None)
    np.testing.assert_allclose(converted(image), expected, rtol=1e-5)
    assert "as opset" in converted.name
    assert "as opset" not in as_given.name


def test_rows_cut_across_channels_are_never_exported_wrong(tmp_path, capsys):
    graph = Graph(size=SIDE)
    x = graph.reshape(graph.relu(graph.conv("input", 4, 3, 8)), 1, 2, 8, 4)
    x = graph.add("Slice", x, *(graph.ints(n) for n in (2, 6, 2, 1)))[0]
    graph.channels[x], graph.sizes[x] = 2, 4
    onnx.save(graph.classifier(graph.relu(graph.conv(x, 6, 3)), 3), tmp_path / "rows.onnx")
    assert run("export", "--onnx", tmp_path / "rows.onnx", "-o", tmp_path / "out") == 0
    assert "whole channels" in capsys.readouterr().out
    proof = Artifact.load(tmp_path / "out").manifest.proof
    assert max(file.largest_difference for file in proof.files) <= proof.tolerance


def test_a_file_that_changes_during_the_export_is_refused(given):
    reference = OnnxReference(given, "0" * 64, None)
    with pytest.raises(ModelError, match="was changed while"):
        reference(np.zeros((1, 3, SIDE, SIDE), np.float32))
