"""What batch norms remember: how far images are from it, and images that are made up from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import run
from torch import nn

from edgeshuffle.artifact import Artifact, Preprocess
from edgeshuffle.converter.quant import synthesis
from edgeshuffle.converter.quant.batch_norms import BatchNorms
from edgeshuffle.converter.quant.synthesis import synthesised
from edgeshuffle.progress import silent

SIZE = 16


def preprocess(channels="rgb"):
    count = {"gray": 1, "rgba": 4}.get(channels, 3)
    return Preprocess(
        resize=SIZE, crop=(SIZE, SIZE), mean=(0.5,) * count, std=(0.25,) * count, channels=channels
    )


def trained(images):
    """A network that has seen these."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(images.shape[1], 8, 3, 2), nn.BatchNorm2d(8, momentum=None), nn.ReLU(),
        nn.Conv2d(8, 12, 3, 2), nn.BatchNorm2d(12, momentum=None), nn.ReLU(),
    )  # fmt: skip
    with torch.no_grad():
        for layer in module:
            layer.train()
        module(images)
    return module.eval()


def pictures(count=32, channels=3, seed=0):
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=random)
    fine = torch.rand(count, channels, SIZE, SIZE, generator=random)
    whole = nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")
    return (0.7 * whole + 0.3 * fine - 0.5) / 0.25


def listed(images):
    return [image[None].numpy() for image in images]


def test_images_of_another_kind_are_further_away():
    norms = BatchNorms.of(trained(pictures()))
    own = norms.drift(listed(pictures(seed=1)))
    grey = pictures().mean(1, keepdim=True).expand(-1, 3, -1, -1)
    blurred = nn.functional.avg_pool2d(pictures(), 5, 1, 2)
    assert own.distance < 0.05
    assert own.narrow == 0
    assert 0.95 < own.width < 1.05
    for odd in (grey, blurred, pictures() * 0.3, torch.zeros(32, 3, SIZE, SIZE)):
        found = norms.drift(listed(odd))
        assert found.distance > 4 * own.distance
        assert found.width < 0.9
        assert found.narrow >= own.narrow


def test_there_may_be_none():
    assert BatchNorms.of(None) is None
    assert BatchNorms.of(nn.Conv2d(3, 4, 1)) is None
    assert BatchNorms.of(nn.BatchNorm2d(3, track_running_stats=False)) is None


@pytest.mark.parametrize(
    ("channels", "shape"),
    [("rgb", (SIZE, SIZE, 3)), ("gray", (SIZE, SIZE)), ("rgba", (SIZE, SIZE, 4))],
)
def test_made_up_images_are_near(channels, shape):
    how = preprocess(channels)
    module = trained(pictures(channels=len(how.mean)))
    norms = BatchNorms.of(module)
    told = []
    found = synthesised(norms, how, lambda *progress: told.append(progress))
    assert found.dtype == np.uint8
    assert found.shape == (synthesis.COUNT, *shape)
    assert told[-1][1:] == (len(told), len(told))
    assert (found == synthesised(norms, how, silent)).all()
    pixels = torch.from_numpy(found.reshape(*found.shape[:3], -1)).permute(0, 3, 1, 2)
    start = torch.stack([synthesis._noise(how.shape, index) for index in range(len(found))])
    with torch.no_grad():
        end, before = (
            float(norms.distance((one - 0.5) / 0.25)) for one in (pixels / 255, start.clamp(0, 1))
        )
    assert end < before / 4
    assert end < 0.02
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_their_channels_are_in_the_order_of_files():
    module = trained(pictures())
    found = [
        synthesised(BatchNorms.of(module), preprocess(channels), silent)
        for channels in ("rgb", "bgr")
    ]
    assert (found[0] == found[1][..., ::-1]).all()


def test_an_export_without_images(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(synthesis, "STEPS", 2)
    given = ["export", "--width", 0.5, "--resolution", 32, "--format", "onnx"]
    options = ["--int8", "--recipe", "fast", "--calib", "none"]
    assert run(*given, *options, "-o", tmp_path / "made") == 0
    assert "made up" in capsys.readouterr().out
    quantization = Artifact.load(tmp_path / "made").manifest.quantization
    assert quantization["calibration"] == "made up"
    assert quantization["calibration_images"] == synthesis.COUNT
    assert quantization["calibration_drift"] is None


def test_odd_images_are_told_and_get_others_beside_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(synthesis, "STEPS", 2)
    dark = np.random.default_rng(0).integers(0, 12, (40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "dark.npz", x=dark)
    given = ["export", "--width", 0.5, "--resolution", 32, "--format", "onnx", "--int8"]
    options = ["--recipe", "balanced", "--calib", tmp_path / "dark.npz"]
    assert run(*given, *options, "-o", tmp_path / "made") == 0
    assert "they are dark" in capsys.readouterr().err
    found = Artifact.load(tmp_path / "made").manifest.quantization
    assert found["calibration"] == "given"
    assert found["calibration_images"] == 40
    assert found["calibration_drift"]["width"] < 0.85
    assert found["images_fitted"] + found["images_held_out"] == 2 * synthesis.COUNT


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--onnx", "mine.onnx", "--int8"], "batch norms"),
        ([], "--int8"),
        (["--int8", "--calib-limit", 5], "--calib-limit"),
    ],
)
def test_refusals(given, told, tmp_path, capsys):
    assert run("export", *given, "--calib", "none", "-o", tmp_path / "made") == 2
    assert told in capsys.readouterr().err
