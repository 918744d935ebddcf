"""Exports for inputs that are not square, and of one, three or four channels."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from foreign_networks import Staged, settle
from networks import Graph
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.errors import UnknownNameError

SIDES = (48, 32)


def written(path, channels, sides=SIDES):
    graph = Graph(size=sides[0])
    graph.channels["input"] = channels
    x = graph.relu(graph.conv("input", 8, 3, 2))
    proto = graph.classifier(graph.relu(graph.conv(x, 16)))
    del proto.graph.value_info[:]
    for dim, size in zip(
        proto.graph.input[0].type.tensor_type.shape.dim, (1, channels, *sides), strict=True
    ):
        dim.dim_value = size
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize(
    ("channels", "arguments", "expected"),
    [
        (1, (), ("gray", [0.449], [0.226])),
        (1, ("--mean", "0.5", "--std", "0.25"), ("gray", [0.5], [0.25])),
        (3, ("--channels", "bgr"), ("bgr", [0.406, 0.456, 0.485], [0.225, 0.224, 0.229])),
        (4, (), ("rgba", [0.485, 0.456, 0.406, 0.0], [0.229, 0.224, 0.225, 1.0])),
        (4, ("--mean", "0", "--std", "1,1,1,2"), ("rgba", [0.0] * 4, [1.0, 1.0, 1.0, 2.0])),
    ],
)
def test_from_pictures_to_int8_and_back(tmp_path, capsys, channels, arguments, expected):
    photos = np.random.default_rng(3).integers(0, 256, (24, 60, 50, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=photos)
    given = written(tmp_path / "given.onnx", channels)
    out = tmp_path / "out"
    assert (
        run(
            "export", "--onnx", given, "--int8", "--calib", tmp_path / "x.npz",
            "--recipe", "fast", "-o", out, *arguments,
        )
        == 0
    )  # fmt: skip
    noted = "mean and std: " in capsys.readouterr().out
    assert noted == ("--mean" not in arguments)
    manifest = Artifact.load(out).manifest
    preprocess = json.loads(manifest.to_json())["preprocess"]
    assert preprocess["crop"] == list(SIDES)
    assert preprocess["resize"] == 32
    assert preprocess["channels"] == expected[0]
    for name, numbers in zip(("mean", "std"), expected[1:], strict=True):
        np.testing.assert_allclose(preprocess[name], numbers, atol=1e-9)
    shapes = {file.format: file.input.shape for file in manifest.files}
    assert shapes == {"onnx": (1, channels, *SIDES), "tflite": (1, *SIDES, channels)}
    assert run("evaluate", out, "--data", tmp_path / "x.npz", "--unlabelled", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert all(result["sqnr_db"] is None or result["sqnr_db"] > 20 for result in found["results"])


@pytest.mark.parametrize(
    ("channels", "arguments", "said"),
    [
        (1, ("--channels", "bgr"), "the model reads 1. What fits: gray."),
        (3, ("--channels", "gray"), "the model reads 3. What fits: rgb, bgr."),
        (1, ("--mean", "0.4,0.4,0.4"), "--mean has 3 numbers, and gray pictures have 1 channel."),
    ],
)
def test_what_does_not_fit_is_told_with_what_does(tmp_path, capsys, channels, arguments, said):
    given = written(tmp_path / "given.onnx", channels)
    code = run("export", "--onnx", given, "-o", tmp_path / "out", *arguments)
    assert code == UnknownNameError.exit_code
    assert said in capsys.readouterr().err


def test_a_network_of_the_zoo_takes_height_and_width(tmp_path):
    out = tmp_path / "out"
    options = ("--width", 0.5, "--resolution", "64x32", "--format", "onnx")
    assert run("export", *options, "-o", out) == 0
    (file,) = Artifact.load(out).manifest.files
    assert file.input.shape == (1, 3, 64, 32)


def test_images_may_be_as_small_as_digits(tmp_path):
    torch.save(settle(Staged(channels=1), channels=1).state_dict(), tmp_path / "a.pth")
    images = np.random.default_rng(0).integers(0, 255, (16, 28, 28), np.uint8)
    np.savez(tmp_path / "c.npz", x=images)
    given = ("--weights", tmp_path / "a.pth", "--stem", "cifar", "--resolution", 28)
    int8 = ("--int8", "--recipe", "fast", "--calib", tmp_path / "c.npz")
    assert run("export", *given, *int8, "-o", tmp_path / "out") == 0
    assert {file.input.shape for file in Artifact.load(tmp_path / "out").manifest.files} == {
        (1, 1, 28, 28),
        (1, 28, 28, 1),
    }


@pytest.mark.parametrize("given", ["64x", "x64", "64x32x3", "-64", "64*32", "1e2"])
def test_a_size_is_one_number_or_two(tmp_path, capsys, given):
    assert run("export", "--resolution", given, "-o", tmp_path / "out") == 2
    assert "128x64 (height x width)" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "said"), [("64x7", "below 8"), ("64x4096", "above 2048")])
def test_each_side_is_bounded(tmp_path, capsys, given, said):
    code = run("export", "--resolution", given, "-o", tmp_path / "out")
    assert code == UnknownNameError.exit_code
    assert f"--resolution {given} is {said}" in capsys.readouterr().err
