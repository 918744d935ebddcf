"""What is exported, and the artifact that it becomes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exports import SIZE, weights
from networks import network
from PIL import Image
from small_models import run

from edgeshuffle.artifact import Artifact


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """A folder with a checkpoint and two sets of pictures."""
    folder = tmp_path_factory.mktemp("given")
    torch.save(network(0.5, 10).state_dict(), folder / "x0_5.pth")
    random = np.random.default_rng(0)
    grids = random.integers(0, 256, (48, 8, 8, 3), dtype=np.uint8)
    pictures = np.stack([np.asarray(Image.fromarray(grid).resize((SIZE, SIZE))) for grid in grids])
    np.savez(folder / "calib.npz", x=pictures[:24])
    np.savez(folder / "test.npz", x=pictures[24:], y=np.arange(24) % 10)
    return folder


@pytest.fixture(scope="session")
def exported(given):
    folder = given / "build" / "mine"
    assert run("export", *weights(given), "-o", folder) == 0
    return Artifact.load(folder)
