"""How far float files are from what the network gives in double precision."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import network

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.metrics import decibels, energies

pytestmark = pytest.mark.slow

SIDE = 64
# Medians of 8 images on pytorchcv's x0.5 of V1, V2 and V2b with random weights: torch has 113 to
# 129 dB, and the files up to 5 less.
_FURTHER_DB = 8


def test_rewrites_round_no_more_than_torch_does(tmp_path):
    module = network(0.5, 10, resolution=SIDE)
    images = torch.randn(4, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = torch.cat([copy.deepcopy(module).double()(image.double()) for image in images])
        single = torch.cat([module(image) for image in images])
    torch.onnx.export(module, (images[0],), str(tmp_path / "a.onnx"), dynamo=False, verbose=False)
    artifact = export(ExportOptions(onnx=tmp_path / "a.onnx", output=tmp_path / "out")).artifact
    bound = decibels(*energies(exact.numpy(), single.double().numpy())) - _FURTHER_DB
    assert bound > 90
    for file in artifact.manifest.files:
        session = RUNTIMES[file.runtime].open_session(str(artifact.path(file)), 1)
        found = torch.tensor(
            [session.run(image.numpy())[0].reshape(-1).tolist() for image in images]
        )
        assert decibels(*energies(exact.numpy(), found.double().numpy())) > bound, file.path
