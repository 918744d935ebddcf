"""What evaluate, compare, sensitivity, inspect and export found, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_models import three_models

from edgeshuffle.artifact import Artifact, Preprocess
from edgeshuffle.artifact.metadata import Metadata
from edgeshuffle.converter.sensitivity import Sensitivity
from edgeshuffle.converter.sensitivity.layers import LayerSensitivity
from edgeshuffle.report.comparison import comparison_table
from edgeshuffle.report.evaluation import evaluation_table
from edgeshuffle.report.exported import exported_table
from edgeshuffle.report.inspection import inspection_table
from edgeshuffle.report.sensitivity import sensitivity_table
from edgeshuffle.report.table.text import text
from edgeshuffle.runner.compare import Comparison
from edgeshuffle.runner.compare.layers import ComparedLayer
from edgeshuffle.runner.evaluate import Evaluation, Result
from edgeshuffle.runner.inspect import Grid, Inspection, Requantization
from edgeshuffle.runner.inspect.dissolved import Dissolved
from edgeshuffle.runner.output_errors import OutputResult


def lines(table):
    shown = text(table).splitlines()
    assert max(map(len, shown)) <= 80
    return shown


def result(precision, **values):
    defaults = dict.fromkeys(Result.__dataclass_fields__)
    return Result(
        **{**defaults, "runtime": "ort", "precision": precision, "n": 8, "outputs": (), **values}
    )


@pytest.fixture
def evaluation():
    return Evaluation(
        model="made_up",
        device=None,
        manifest_sha256="",
        files_sha256={},
        data="here",
        data_sha256="",
        n=8,
        class_order=None,
        notes=(),
        reference="ort/fp32",
        results=(
            result("fp32", top1=75.0, top1_se=15.3, agreement=100.0, agreement_se=0.0),
            result(
                "int8",
                top1=62.5,
                top1_se=17.1,
                drop=12.5,
                drop_se=11.7,
                agreement=87.5,
                agreement_se=11.7,
                sqnr_db=21.26,
            ),
        ),
    )


def test_the_reference_is_compared_with_nothing(evaluation):
    shown = lines(evaluation_table(evaluation))
    assert shown[0] == "made_up on 8 images of here"
    assert shown[3].split() == ["ort", "fp32", "75.00", "±15.30", "-", "-", "-", "ref"]
    assert shown[4].split()[2:] == [
        "62.50",
        "±17.10",
        "12.50",
        "±11.70",
        "-",
        "87.50",
        "±11.70",
        "21.3",
    ]
    assert evaluation_table(evaluation).records()[1]["sqnr_db"] == 21.26


def test_on_a_device_it_is_compared_like_all(evaluation, monkeypatch):
    class Board:
        cpu = "a board"

    of_device = {"device_agreement": 50.0, "device_difference": 2.0}
    there = replace(
        evaluation,
        device=Board(),
        results=tuple(replace(one, **of_device) for one in evaluation.results),
    )
    shown = lines(evaluation_table(there))
    assert shown[3].endswith("equal")
    assert "  ort int8: 50.00 % equal labels, largest difference 2 quantization steps" in shown
    assert "  ort fp32: 50.00 % equal labels, largest difference 2 in a logit" in shown


def test_what_is_no_classifier_has_a_row_an_output(evaluation):
    outputs = tuple(
        OutputResult(
            name=name, shape=(1, 3, 4), sqnr_db=db, same_device_db=db, device_difference=None
        )
        for name, db in (("boxes", 30.0), ("scores", None))
    )
    found = replace(evaluation, results=(result("int8", outputs=outputs),))
    shown = lines(evaluation_table(found))
    assert shown[3].split() == ["ort", "int8", "boxes", "1x3x4", "30.0"]
    assert shown[4].split() == ["ort", "int8", "scores", "1x3x4", "equal"]


def test_layers_that_move_are_shown_where_they_go_wrong_first():
    layers = tuple(
        ComparedLayer(
            name=name,
            operator="Conv",
            moves=moves,
            sqnr_db={"onnx": 20.0, "tflite": None},
            steps=3,
            differing=1.5,
            wrong=wrong,
        )
        for name, moves, wrong in (("a", True, None), ("b", True, "it is"), ("c", False, None))
    )
    found = Comparison(
        model="made_up",
        data="here",
        n=4,
        fitted=True,
        agreement={"fp32/onnx": 75.0},
        outputs=("a", "c"),
        layers=layers,
    )
    shown = lines(comparison_table(found))
    assert shown[3].split() == ["!", "b", "Conv", "20.0", "equal", "3", "1.50"]
    assert shown[4].split() == ["c", "Conv", "20.0", "equal", "3", "1.50"]
    assert "Output a: onnx 20.0 dB, tflite equal dB." in shown
    assert "Same largest class: fp32/onnx 75.0 %." in shown
    one_format = replace(layers[2], sqnr_db={"onnx": 20.0}, steps=None, differing=None)
    shown = lines(comparison_table(replace(found, layers=(one_format,), outputs=("c",))))
    assert shown[3].split() == ["c", "Conv", "20.0"]


def test_bars_are_as_long_as_the_noise():
    layers = tuple(
        LayerSensitivity(
            name=name, kind="dense", macs=2_500_000, sqnr_db=30.0, agreement=None, noise_share=share
        )
        for name, share in (("a", 60.0), ("b", 30.0), ("c", 10.0))
    )
    found = Sensitivity(
        model="made_up",
        recipe="fast",
        calibrator="mse",
        data="here",
        n=4,
        sqnr_db=25.0,
        agreement=None,
        outputs={"x": 25.0, "y": None},
        layers=layers,
    )
    shown = lines(sensitivity_table(found, 2))
    assert shown[3].split() == ["a", "dense", "2.50", "30.0", "60.0", 16 * "#"]
    assert shown[4].split() == ["b", "dense", "2.50", "30.0", "30.0", 8 * "#"]
    assert shown[5].startswith("and 1 layers with less noise")
    assert "Each output's SQNR in dB: x 25.0, y equal." in shown
    assert "and 1 layers" not in text(sensitivity_table(found, None))


def inspection(**values):
    counts = dict.fromkeys(
        ("macs", "parameters", "weight_bytes", "moved_bytes", "transposes"), 12345
    )
    return Inspection(
        **{
            **counts,
            "format": "onnx",
            "ops": {"Conv": 3},
            "requantizations": (),
            "wide_tensors": (),
            "inputs": {"x": (1, 3, 8, 8)},
            "outputs": {"y": None, "z": (1, 2)},
            **values,
        }
    )


def test_files_stand_beside_each_other():
    grid = Grid("int8", 0.5, 0)
    moved = Requantization(op="Concat", output="c", sources=(grid, grid), target=grid)
    found = {
        "made_fp32.onnx": inspection(
            ops={"Conv": 3, "Relu": 1},
            shuffles=2,
            dissolved=Dissolved(shuffles=0, moving=(9, 3), moved_bytes=(5000, 1000)),
        ),
        "made_int8.onnx": inspection(batch=4, requantizations=(moved,) * 9, unknown=("a", "b")),
    }
    shown = lines(inspection_table(found))
    rows = {line[:20].strip(): line[20:].split() for line in shown if line[:20].strip()}
    assert shown[0] == "made"
    assert rows["Images an inference"] == ["1", "4"]
    assert rows["Parameters"] == ["12,345", "12,345"]
    assert rows["Relu"] == ["1"]
    below = " ".join(" ".join(shown).split())
    assert "all: 2 outputs: 'y' of open shape, 'z' 1x2" in below
    assert (
        "dissolving leaves 0 of 2 channel shuffles, 3 of 9 operators that only move data, and "
        "1,000 of 5,000 bytes moved"
    ) in below
    assert below.count("made_int8.onnx: Concat to 'c' requantizes: scale 0.5, 0.5 to 0.5") == 8
    assert "made_int8.onnx: and 1 more" in below
    assert "not counted, as it is only known when it runs: a, b" in below


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (Dissolved(reason="no way"), "its shuffles cannot be dissolved: no way"),
        (None, "its shuffles can be dissolved in the float ONNX model"),
    ],
)
def test_what_becomes_of_shuffles_is_said(left, said):
    found = {"it.tflite": inspection(shuffles=1, dissolved=left)}
    assert said in " ".join(lines(inspection_table(found)))


def test_files_that_were_not_measured_have_their_size_only(tmp_path):
    artifact = Artifact.load(three_models(tmp_path / "made"))
    table = exported_table(artifact)
    assert [record["file"] for record in table.records()] == [
        file.path for file in artifact.manifest.files
    ]
    assert lines(table)[1].split() == ["file", "MiB", "operators"]


def test_what_a_file_says_of_itself_is_shown():
    preprocess = Preprocess(resize=256, crop=(224, 192), mean=(0.5,) * 3, std=(0.25,) * 3)
    said = Metadata(
        description="net,\x1b[31m 6 classes",
        preprocess=preprocess,
        labels=tuple("abcdef"),
        others={"author": "me"},
    )
    shown = " ".join(lines(inspection_table({"a.onnx": inspection(metadata=said)})))
    for line in (
        "it says: net, [31m 6 classes",
        "resized to 256, 224x192 cropped, rgb, of 0 to 1, mean 0.5, 0.5, 0.5, std 0.25,",
        "6 class names: a, b, c, d, e, ...",
        "metadata 'author': me",
    ):
        assert line in " ".join(shown.split())
