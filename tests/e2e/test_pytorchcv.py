"""Every ShuffleNet of pytorchcv, where that is installed, by its weights and by both exporters."""

from __future__ import annotations

import importlib

import pytest
import torch
from foreign_networks import settle
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter import zoo

pytestmark = pytest.mark.slow

# Its pooling takes 7x7 values.
SIDE = 224


def models():
    """Names with the modules that make them; one that is skipped where there are none."""
    try:
        modules = [
            importlib.import_module(f"pytorchcv.models.{name}")
            for name in ("shufflenet", "shufflenetv2", "shufflenetv2b")
        ]
    except ImportError:
        skip = pytest.mark.skip(reason="pytorchcv is not installed")
        return [pytest.param(None, None, marks=skip)]
    return [
        pytest.param(module, name, id=name)
        for module in modules
        for name in module.__all__
        if name.startswith("shufflenet")
    ]


@pytest.fixture
def settled(module, name):
    torch.manual_seed(0)
    made = getattr(module, name)()
    # Noise of any size settles it; only the last pooling asks for one.
    pooling, made.features.final_pool = made.features.final_pool, torch.nn.AdaptiveAvgPool2d(1)
    settle(made)
    made.features.final_pool = pooling
    return made


@pytest.mark.parametrize(("module", "name"), models())
def test_weights(settled, tmp_path):
    torch.save({"state_dict": settled.state_dict()}, tmp_path / "a.pth")
    loaded = zoo.load(zoo.Wanted(weights=str(tmp_path / "a.pth"), stem="imagenet"))
    image = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        expected, found = settled(image), loaded.module(image)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize(("module", "name"), models())
def test_onnx(settled, exporter, tmp_path):
    torch.onnx.export(
        settled,
        (torch.zeros(1, 3, SIDE, SIDE),),
        str(tmp_path / "a.onnx"),
        dynamo=exporter == "dynamo",
        verbose=False,
    )
    assert run("export", "--onnx", tmp_path / "a.onnx", "-o", tmp_path / "out") == 0
    manifest = Artifact.load(tmp_path / "out").manifest
    assert {file.format for file in manifest.files} == {"onnx", "tflite"}
    assert max(file.largest_difference for file in manifest.proof.files) < 1e-4
