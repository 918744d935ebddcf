"""Equalization where values share a scale."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Graph, noise, relative_error, run_ir

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant.builder import PlanBuilder
from edgeshuffle.converter.quant.hold_out import Judge
from edgeshuffle.converter.quant.recipe import Recipe
from edgeshuffle.converter.quant.refiners import REFINERS, equalize

IMAGES = [noise(8, seed) for seed in range(16)]
RECIPE = Recipe(description="", calibrator="mse")


def meeting(wider):
    """Three values beside each other, of which the last is so many times as wide."""
    graph = Graph(size=8)
    first = graph.relu(graph.conv("input", 8, 3))
    second = graph.relu(graph.conv(first, 8))
    weight = graph.random.standard_normal((8, 8, 1, 1)) * wider / 3
    third = graph.relu(graph._conv(second, weight, 8, 1, 1, 1))
    weight = graph.random.standard_normal((6, 24, 1, 1))
    weight[:, 16:] /= wider
    model = to_ir(graph.model(graph._conv(graph.concat(first, second, third), weight, 6, 1, 1, 1)))
    run_passes(model)
    return model


def equalized(model):
    builder = PlanBuilder(model.clone(), IMAGES, RECIPE, lambda *_: None)
    REFINERS["equalize"].refine(builder)
    return builder


@pytest.mark.parametrize(("wider", "gain"), [(30, 6), (1, 0)])
def test_a_value_far_wider_than_the_others_is_narrowed(monkeypatch, wider, gain):
    model = meeting(wider)
    found = []
    for widest in (np.inf, equalize._WIDEST):
        monkeypatch.setattr(equalize, "_WIDEST", widest)
        builder = equalized(model)
        found.append(Judge(model, IMAGES).sqnr(builder.model, builder.plan))
        after = run_ir(builder.model, IMAGES[0])
        assert relative_error(run_ir(model, IMAGES[0]), after) < 1e-5
    if gain:
        assert found[1] > found[0] + gain
    else:
        assert found[1] == found[0]
