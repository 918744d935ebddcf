"""What several end-to-end tests start from."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
from networks import Graph
from sharing import once
from small_models import run


@pytest.fixture(scope="session")
def demo(request, tmp_path_factory):
    """The packaged demo's artifact, at a resolution that is quick to emulate."""

    def make(folder):
        assert run("export", "--width", "0.5", "--resolution", 64, "--int8", "-o", folder) == 0

    # Benches write beside it.
    folder = tmp_path_factory.mktemp("build") / "demo"
    shutil.copytree(once(request, "demo", make), folder)
    return folder


@pytest.fixture(scope="session")
def small(request, tmp_path_factory):
    """All forms of a network that a board is done with in no time, but for fp16 and pixels."""
    return _small(request, tmp_path_factory, "small")


@pytest.fixture(scope="session")
def small_pixels(request, tmp_path_factory):
    """The same network, also with the forms that read pixels."""
    return _small(request, tmp_path_factory, "small_pixels", "--pixels")


def _small(request, tmp_path_factory, name, *more):
    def make(folder):
        folder.mkdir()
        graph = Graph(size=16)
        x = graph.relu(graph.conv("input", 8, 3, 2))
        x = graph.relu(graph.conv(graph.depthwise(x), 8))
        onnx.save(graph.classifier(x), folder / "small.onnx")
        pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
        np.savez(folder / "calib.npz", x=pixels)
        options = ("--int8", "--recipe", "fast", "--calib", folder / "calib.npz", *more)
        assert run("export", "--onnx", folder / "small.onnx", *options, "-o", folder / "made") == 0

    folder = tmp_path_factory.mktemp("build") / name
    shutil.copytree(once(request, name, make) / "made", folder)
    return folder
