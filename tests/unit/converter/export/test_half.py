"""`--fp16`: one TFLite file more, whose numbers fit, or none."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from networks import Graph
from onnx import numpy_helper
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.emit import tflite as tflite_writer
from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.converter.lower import conv_padding
from edgeshuffle.errors import DataError, GateError, ModelError, PassError, UnknownNameError
from edgeshuffle.runner.compare import CompareOptions, compare

SIDE = 32
PHOTOS = np.random.default_rng(4).integers(0, 256, (20, SIDE, SIDE, 3), "u1")


def network(path, factor=1.0):
    """A small network with a shuffle, whose first weights are multiplied."""
    graph = Graph(size=SIDE)
    x = graph.max_pool(graph.relu(graph.conv("input", 8, 3, 2)))
    x = graph.relu(graph.conv(graph.depthwise(graph.shuffle(x), stride=2), 40))
    proto = graph.classifier(x)
    first = proto.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(factor * numpy_helper.to_array(first), first.name))
    onnx.save(proto, path)
    return path


@pytest.fixture
def given(tmp_path):
    return network(tmp_path / "given.onnx")


@pytest.fixture
def calib(tmp_path):
    np.savez(tmp_path / "calib.npz", x=PHOTOS)
    return tmp_path / "calib.npz"


def test_a_file_is_written_beside_the_others(given, calib, tmp_path, capsys):
    arguments = ("--fp16", "--int8", "--recipe", "fast", "--calib", calib, "--min-sqnr", 20)
    assert run("export", "--onnx", given, *arguments, "-o", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "--fp16: processors without fp16 arithmetic, such as a Raspberry Pi 4's" in shown
    artifact = Artifact.load(tmp_path / "out")
    manifest = artifact.manifest
    assert [file.path.removeprefix("given_") for file in manifest.files] == [
        *("fp32.onnx", "int8.onnx", "fp32.tflite", "fp16.tflite", "int8.tflite"),
    ]
    assert manifest.half_range.images == 20
    assert 0 < manifest.half_range.largest_value < 100
    assert manifest.metrics["files"]["given_fp16.tflite"]["sqnr_db"] > 50
    (proved,) = (file for file in manifest.proof.files if "fp16" in file.path)
    assert 0 < proved.largest_difference < manifest.proof.fp16_tolerance
    found = compare(CompareOptions(artifact=artifact, data=calib, limit=4))
    assert all(layer.sqnr_db["fp16"] > 50 for layer in found.layers)
    assert found.layers[0].steps is not None
    assert run("inspect", tmp_path / "out") == 0
    assert "fp16.tflite" in capsys.readouterr().out
    evaluated = ("evaluate", tmp_path / "out", "--data", calib, "--unlabelled", "--json")
    assert run(*evaluated) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [one["precision"] for one in results].count("fp16") == 1


def test_without_images_noise_is_what_ranges_are_seen_on(given, tmp_path):
    manifest = export(
        ExportOptions(onnx=given, fp16=True, output=tmp_path / "out")
    ).artifact.manifest
    assert (manifest.half_range.images, manifest.half_range.random_images) == (0, 4)
    assert any("noise only" in warning for warning in manifest.warnings)


def test_numbers_that_come_near_the_end_are_warned_of(tmp_path, calib):
    given = network(tmp_path / "large.onnx", 800)
    made = export(ExportOptions(onnx=given, fp16=True, calib=calib, output=tmp_path / "out"))
    (warning,) = made.artifact.manifest.warnings
    assert "float16 ends at 65504; other images may go beyond it" in warning


def test_numbers_beyond_it_write_nothing(tmp_path, capsys):
    given = network(tmp_path / "larger.onnx", 1e5)
    arguments = ("export", "--onnx", given, "--fp16", "-o", tmp_path / "out")
    assert run(*arguments) == ModelError.exit_code
    assert "float16 ends at 65504. Leave --fp16 out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_rewrite_of_this_file_alone_that_is_not_exact_writes_nothing(
    given, tmp_path, monkeypatch
):
    """By less than rounding is allowed."""
    run_as_it_is = conv_padding.run

    def wrong(draft):
        conv = draft.convolutions()[0]
        draft.outputs(conv, np.arange(8), lambda rows: rows * np.float32(1.01))
        return run_as_it_is(draft)

    monkeypatch.setattr(conv_padding, "run", wrong)
    with pytest.raises(PassError, match=r"given_fp16_unrounded.* does not compute what"):
        export(ExportOptions(onnx=given, fp16=True, output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_weights_that_are_too_coarse_write_nothing(given, tmp_path, monkeypatch):
    emit = tflite_writer.emit

    def other(model, plan, floats="fp32", **choices):
        if floats == "fp16":
            model = model.clone()
            conv = next(node for node in model.graph if node.op_type == "Conv")
            value = conv.inputs[1].const_value.numpy()
            conv.inputs[1].const_value = onnx_tensor(value.round(0))
        return emit(model, plan, floats=floats, **choices)

    monkeypatch.setattr(tflite_writer, "emit", other)
    with pytest.raises(ModelError, match="too coarse for this network"):
        export(ExportOptions(onnx=given, fp16=True, output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def onnx_tensor(array):
    import onnx_ir as ir

    return ir.tensor(array)


def test_a_limit_holds_for_it_too(given, calib, tmp_path):
    options = ExportOptions(
        onnx=given, fp16=True, calib=calib, min_sqnr=150, output=tmp_path / "out"
    )
    with pytest.raises(GateError, match=r"fp16\.tflite has SQNR .* Leave `fp16` out"):
        export(options)
    assert not (tmp_path / "out").exists()


def test_what_makes_no_sense_is_refused(given, tmp_path, capsys):
    both = ("export", "--onnx", given, "--fp16", "-o", tmp_path / "out")
    assert run(*both, "--format", "onnx") == UnknownNameError.exit_code
    assert "--fp16 is written as TFLite only: ONNX Runtime takes more" in capsys.readouterr().err
    assert run(*both, "--min-sqnr", 40) == DataError.exit_code
    assert "are checked on images of your own data" in capsys.readouterr().err
