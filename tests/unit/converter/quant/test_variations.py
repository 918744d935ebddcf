"""Calibration images with gains: always the same, half of them, in every fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import Graph

from edgeshuffle.artifact import Preprocess
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.converter.quant.layer import FOLDS
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.converter.quant.simulate import quantized_outputs
from edgeshuffle.converter.quant.variations import Varied
from edgeshuffle.metrics import sqnr_db

SIZE = 16


def preprocess(height=SIZE, width=SIZE, channels="rgb"):
    count = {"rgb": 3, "gray": 1, "rgba": 4}[channels]
    return Preprocess(
        resize=min(height, width),
        crop=(height, width),
        mean=(0.4, 0.5, 0.6, 0.0)[:count],
        std=(0.2, 0.3, 0.25, 1.0)[:count],
        channels=channels,
    )


def pictures(count, shape=(3, SIZE, SIZE), seed=0):
    """Smooth ones in 0..1, (count, C, H, W)."""
    random = np.random.RandomState(seed)
    coarse = torch.from_numpy(random.rand(count, shape[0], 4, 4).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear").numpy()


def normalised(found, how):
    mean, std = (np.array(n, np.float32)[:, None, None] for n in (how.mean, how.std))
    return [((picture - mean) / std)[None] for picture in found]


@pytest.mark.parametrize("channels", ["rgb", "gray", "rgba"])
@pytest.mark.parametrize("sides", [(SIZE, SIZE), (33, 9)])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_half_of_them_have_gains(channels, sides, count):
    how = preprocess(*sides, channels)
    given = pictures(count, (len(how.mean), *sides))
    images = normalised(given, how)
    varied = Varied(images, how)
    mean, std = (np.array(n, np.float32)[:, None, None] for n in (how.mean, how.std))
    assert len(varied) == count
    gains = []
    for index, picture in enumerate(given):
        found = varied[index]
        assert found.shape == images[index].shape
        assert found.dtype == np.float32
        assert (found == Varied(images, how)[index]).all()
        if (found == images[index]).all():
            continue
        assert index // FOLDS % 2
        gain = (found[0] * std + mean).sum((1, 2)) / picture.sum((1, 2))
        np.testing.assert_allclose(
            found[0] * std + mean, picture * gain[:, None, None], rtol=1e-3, atol=1e-5
        )
        gains.append(gain)
    assert len(gains) == {1: 0, 3: 0, 40: 20}[count]
    if count == 40:
        assert 0.5 <= np.min(gains) < 0.7
        assert 0.8 < np.max(gains) <= 1


def test_grey_images_are_no_harm():
    """A network that tells colours apart, which it never sees in calibration."""
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    model = to_ir(graph.classifier(graph.relu(graph.conv(x, 12))))
    run_passes(model)
    how = preprocess()
    grey = np.repeat(pictures(40).mean(1, keepdims=True), 3, 1)
    tested = normalised(pictures(60, seed=1), how)
    expected = np.concatenate([next(iter(FloatRun(model)(x).values())) for x in tested])
    found = []
    for augment in (False, True):
        recipe = replace(load_recipe("accurate"), augment=augment)
        made = quantize(model, normalised(grey, how), recipe, preprocess=how)
        outputs = quantized_outputs(made.model, made.plan, torch.from_numpy(np.concatenate(tested)))
        found.append(sqnr_db(expected, outputs[0].numpy()))
        assert made.fitted + made.held_out == 40
    assert found[1] > found[0] + 3
