"""INT8 files that are bad are called so, or refused where that was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import Graph
from onnx import numpy_helper
from small_models import run

from edgeshuffle.artifact import Preprocess, TensorInfo
from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.converter.export.quality import (
    check_limits,
    measure,
    one_class,
    unlike_training,
)
from edgeshuffle.converter.export.request import Gates
from edgeshuffle.converter.quant.batch_norms import Drift
from edgeshuffle.dataset import ImageSet
from edgeshuffle.dataset.pictures import PixelPictures
from edgeshuffle.errors import GateError, ModelError, UnknownNameError
from edgeshuffle.metrics import decibels, none_if_equal

SIDE = 32
RANDOM = np.random.default_rng(3)


@pytest.fixture
def given(tmp_path):
    graph = Graph(size=SIDE)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    onnx.save(graph.classifier(graph.relu(graph.conv(x, 16))), tmp_path / "given.onnx")
    return tmp_path / "given.onnx"


def calibration(tmp_path, pixels):
    np.savez(tmp_path / "calib.npz", x=pixels.astype(np.uint8))
    return tmp_path / "calib.npz"


def photos(n):
    return RANDOM.integers(0, 256, (n, SIDE, SIDE, 3))


def exported(given, tmp_path, pixels, *arguments):
    calib = calibration(tmp_path, pixels)
    return run(
        "export", "--onnx", given, "--int8", "--calib", calib, "--recipe", "fast",
        "-o", tmp_path / "out", "--json", *arguments,
    )  # fmt: skip


def test_a_good_export_warns_of_nothing(given, tmp_path, capsys):
    assert exported(given, tmp_path, photos(40)) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["warnings"] == []
    assert "Warning" not in shown.err


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (photos(1), "only 1 image;"),
        (photos(5), "only 5 images;"),
        (np.repeat(photos(1), 40, 0), "of 32 images that were looked at, 1 differ"),
        (np.full((40, SIDE, SIDE, 3), 90), "32 hold one colour only"),
    ],
    ids=["one", "few", "equal", "flat"],
)
def test_odd_calibration_images_are_named(given, tmp_path, capsys, pixels, said):
    assert exported(given, tmp_path, pixels) == 0
    shown = capsys.readouterr()
    assert said in shown.err
    assert any(said in warning for warning in json.loads(shown.out)["warnings"])


def test_a_bad_int8_file_says_so(given, tmp_path, capsys):
    proto = onnx.load(given)
    weights = {tensor.name: tensor for tensor in proto.graph.initializer}
    first, second = [node for node in proto.graph.node if node.op_type == "Conv"]
    # One channel takes the whole range of a value, and nothing reads it.
    for name, part, factor in ((first.input[1], np.s_[0], 1e4), (second.input[1], np.s_[:, 0], 0)):
        array = numpy_helper.to_array(weights[name]).copy()
        array[part] *= factor
        weights[name].CopyFrom(numpy_helper.from_array(array, name))
    onnx.save(proto, given)
    assert exported(given, tmp_path, photos(40), "--calibrator", "minmax") == 0
    shown = capsys.readouterr()
    said = json.loads(shown.out)["warnings"]
    assert [warning.split(":")[0] for warning in said] == ["given_int8.onnx", "given_int8.tflite"]
    assert all("accuracy is likely lost" in warning for warning in said)
    assert shown.err.count("edgeshuffle: warning: given_int8.") == 2
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["warnings"] == said


@pytest.mark.parametrize(
    ("limit", "said"),
    [(("--min-sqnr", "90"), "dB of --min-sqnr 90"), (("--min-sqnr", "-5"), None),
     (("--min-agreement", "0"), None)],
)  # fmt: skip
def test_a_limit_that_is_missed_ends_with_11_and_writes_nothing(
    given, tmp_path, capsys, limit, said
):
    code = exported(given, tmp_path, photos(40), *limit)
    shown = capsys.readouterr().err
    assert code == (GateError.exit_code if said else 0)
    assert (tmp_path / "out").exists() is (said is None)
    if said:
        assert said in shown
        assert len(shown.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"given.onnx", "calib.npz", "out"}


class File:
    def __init__(self, path, precision, names=("logits",), classes=2):
        self.path, self.precision = path, precision
        self.format, self.runtime, self.classes = "onnx", "ort", classes
        self.base, self.softmax = None, False
        self.outputs = [
            TensorInfo(name=name, shape=(1, 2), dtype="float32", layout="NC") for name in names
        ]


FILES = [File("fp32", "fp32"), File("int8", "int8")]


def measured(expected, found):
    return measure(FILES, {"fp32": [np.array(expected)], "int8": [np.array(found)]}, "")


def test_an_agreement_below_the_limit_is_refused():
    metrics = measured([[1.0, 2], [2, 1]], [[2.0, 1], [2, 1]])
    check_limits(FILES, metrics, Gates(min_agreement=50))
    with pytest.raises(GateError, match=r"agreement 50.0 % of `min_agreement=51`"):
        check_limits(FILES, metrics, Gates(min_agreement=51))


def test_without_noise_every_limit_is_met():
    metrics = measured([[1.0, 2], [2, 1]], [[1.0, 2], [2, 1]])
    assert metrics["files"]["int8"]["sqnr_db"] is None
    check_limits(FILES, metrics, Gates(min_sqnr=1000, min_agreement=100))


def test_the_worst_of_several_outputs_counts_and_no_agreement():
    files = [File(name, name, ("near", "far"), None) for name in ("fp32", "int8")]
    expected = [np.full((3, 2), 8.0), np.full((3, 2), 4.0)]
    found = [expected[0] + 0.01, expected[1] + 1]
    metrics = measure(files, {"fp32": expected, "int8": found}, "")
    measured = metrics["files"]["int8"]
    assert measured["agreement"] is None
    assert measured["sqnr_db"] == measured["outputs"]["far"]["sqnr_db"]
    assert measured["outputs"]["near"]["sqnr_db"] > measured["sqnr_db"]
    check_limits(files, metrics, Gates(min_sqnr=12))
    with pytest.raises(GateError, match=r"SQNR 12.0 dB of `min_sqnr=13`"):
        check_limits(files, metrics, Gates(min_sqnr=13))
    with pytest.raises(GateError, match="no classifier, so `min_agreement` says nothing"):
        check_limits(files, metrics, Gates(min_agreement=1))


def test_noise_without_a_signal_is_refused():
    assert measured([[0.0, 0]], [[0.0, 0]])["files"]["int8"]["sqnr_db"] is None
    with pytest.raises(ModelError, match="gives zero for every value of 'logits'"):
        measured([[0.0, 0]], [[0.0, 1]])


def test_only_equality_is_none():
    assert none_if_equal(decibels(1.0, 0.0)) is None
    for broken in (-np.inf, np.nan):
        with pytest.raises(ValueError, match="no signal to noise ratio"):
            none_if_equal(broken)
    for signal, noise in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, np.inf)):
        with pytest.raises(ValueError, match="no energies"):
            decibels(signal, noise)


@pytest.mark.parametrize("option", [{"min_sqnr": 20.0}, {"min_agreement": 90.0}])
def test_limits_of_int8_need_int8(option, tmp_path):
    with pytest.raises(UnknownNameError, match="limits of `int8`"):
        export(ExportOptions(output=tmp_path / "out", **option))


def images(pixels):
    pictures = PixelPictures(pixels.astype(np.uint8), Path("some"), np.arange(len(pixels)))
    how = Preprocess(resize=SIDE, crop=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.2,) * 3)
    return ImageSet(pictures=pictures, preprocess=how, labels=None)


NEAR = Drift(distance=0.05, width=1.0, narrow=0.0)


@pytest.mark.parametrize(
    ("pixels", "drift", "said"),
    [
        (np.repeat(photos(8)[..., :1], 3, 3), replace(NEAR, narrow=0.2), "they are grey"),
        (photos(8) // 10, replace(NEAR, distance=0.2), "they are dark"),
        (255 - photos(8) // 10, replace(NEAR, distance=0.2), "they are bright"),
        (photos(8)[:, ::4, ::4], replace(NEAR, width=0.7), "they are smaller than the input"),
        (photos(8), replace(NEAR, width=0.7), "are they blurred"),
    ],
)
def test_images_unlike_those_of_training_are_told(pixels, drift, said):
    (warning,) = unlike_training(images(pixels), drift)
    assert said in warning
    assert not unlike_training(images(pixels), NEAR)
    assert not unlike_training(images(pixels), None)


def test_images_of_one_class_are_told():
    same = np.tile([0.0, 2.0], (20, 1))
    assert "class 1" in one_class(FILES, {"fp32": [same]})[0]
    assert not one_class(FILES, {"fp32": [same[:4]]})
    same[3] = [3, 2]
    assert not one_class(FILES, {"fp32": [same]})
    assert not one_class([File("fp32", "fp32", ("near", "far"), None)], {"fp32": [same, same]})
