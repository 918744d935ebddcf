"""What is asked for is refused before anything starts: all of it at once, in its reader's words."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import run

from edgeshuffle.cli.export import command
from edgeshuffle.cli.flags import with_flags
from edgeshuffle.converter.export import ExportOptions
from edgeshuffle.converter.export.request import OnnxFile, ZooModel
from edgeshuffle.converter.export.resolve import resolve
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.errors import DataError, UnknownNameError


def test_all_obstacles_are_told_at_once(tmp_path):
    options = ExportOptions(
        onnx=tmp_path / "own.onnx", width=0.5, key="ema", int8=True, resolution=4, max_drop=-1
    )
    with pytest.raises(UnknownNameError) as found:
        resolve(options)
    told = ("leave out `width`, `key`", "`resolution=4`", "`calib=FOLDER`", "`max_drop` -1")
    assert all(part in str(found.value) for part in told)
    assert "\n" not in str(found.value)


def test_the_first_obstacle_decides_the_kind(tmp_path):
    gone = tmp_path / "none"
    with pytest.raises(DataError, match=r"at .*none.*`calib`.*at .*none.*`evaluation`"):
        resolve(ExportOptions(int8=True, calib=gone, max_drop=1, evaluation=gone))


def test_a_request_is_resolved():
    asked = resolve(
        ExportOptions(width=0.5, int8=True, recipe="fast", calibrator="mse", formats=("tflite",))
    )
    assert isinstance(asked.model, ZooModel)
    assert (asked.target, asked.formats) == (Path("build/shufflenet_v2_x0_5"), ("tflite",))
    assert asked.int8.recipe == load_recipe("fast", "mse")
    assert (asked.int8.drop, asked.notes) == (None, ())
    own = resolve(ExportOptions(onnx=Path("my net!.onnx")))
    assert own.model == OnnxFile(path=Path("my net!.onnx"), name="my_net_")
    assert resolve(ExportOptions(weights="own.pth")).target is None


@pytest.mark.parametrize("option", [("--recipe", "fast"), ("--calibrator", "mse")])
def test_how_to_quantize_needs_int8(option, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("export", "--width", 0.5, *option, "-o", out) == UnknownNameError.exit_code
    assert f"Without --int8 nothing is quantized: give it, too, or leave out {option[0]}." in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_numbers_of_pixels_in_0_to_255_are_noted():
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    assert resolve(ExportOptions(**imagenet)).notes == ()
    assert resolve(ExportOptions(mean=(-1, 2, 0), std=(2, 1, 1))).notes == ()
    mean, std = resolve(ExportOptions(mean=(123.675, 116.28, 103.53), std=(5, 5, 5))).notes
    assert mean.startswith("mean: 123.7,116.3,103.5 looks like")
    assert mean.endswith("0.485,0.456,0.406 was probably meant")
    assert std.startswith("std: 5,5,5 looks like")


def test_the_command_line_shows_its_own_options():
    text = "`evaluation`, `formats` or `max_drop`, and `edgeshuffle doctor` of `layers`"
    shown = "--eval, --format or --max-drop, and `edgeshuffle doctor` of `layers`"
    assert with_flags(text, command) == shown


def test_a_missing_file_is_told_of_with_its_option(tmp_path, capsys):
    assert run("export", "--weights", tmp_path / "no.pth", "-o", tmp_path / "out") == 4
    assert capsys.readouterr().err.endswith("Check the path given to --weights.\n")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"formats": ()}, "`formats` names no format"),
        ({"onnx_style": "foo"}, "`onnx_style=foo` is unknown. Known: qdq, qoperator"),
        ({"onnx_activations": "int4"}, "`onnx_activations=int4` is unknown"),
        ({"class_order": "up"}, "`class_order=up` is unknown"),
    ],
)
def test_choices_are_checked_without_the_command_line(wrong, message):
    with pytest.raises(UnknownNameError, match=message):
        resolve(ExportOptions(int8=True, **wrong))
