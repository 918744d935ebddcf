"""Equalization where values share a scale."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Graph, noise, relative_error, run_ir
from onnx import numpy_helper

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


def unlike(graph, x="input"):
    """Channels of unlike ranges, for there to be something to scale."""
    shape = 8, graph.channels[x], 3, 3
    made = graph._conv(x, graph.random.standard_normal(shape), 8, 3, 1, 1)
    weight, bias = graph.constants[-2:]
    for constant in (weight, bias):
        array = numpy_helper.to_array(constant).T * np.logspace(-2, 0, 8, dtype=np.float32)
        constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array.T), constant.name))
    return made


def residual(graph, x):
    return graph.relu(graph.both("Add", x, unlike(graph, graph.relu(graph.conv(x, 8)))))


def pooled(graph, x):
    """Of what may be scaled, and what may not as it stops at 6."""
    limits = [graph.constant(np.float32(limit)) for limit in (0, 6)]
    stopped = graph._like(graph.add("Clip", graph.conv(x, 8), *limits)[0], x)
    return graph.max_pool(graph.concat(x, stopped))


def swapped(graph, x):
    """A sum of channels that do not lie as they were made."""
    halves = graph.split(graph.relu(graph.conv(x, 8)), 4, 4)
    return graph.both("Add", x, graph.concat(*reversed(halves)))


def test_channels_of_a_residual_are_made_alike():
    graph = Graph(size=8)
    x = residual(graph, graph.relu(unlike(graph)))
    model = to_ir(graph.model(graph.conv(x, 6)))
    run_passes(model)
    spreads = []
    for builder in (PlanBuilder(model, IMAGES, RECIPE, lambda *_: None), equalized(model)):
        high = builder.samples[x].high
        spreads.append(high.max() / high.min())
    assert spreads[1] < spreads[0] / 2


@pytest.mark.parametrize("part", [
    residual,
    pooled,
    swapped,
    lambda graph, x: residual(graph, residual(graph, x)),
    lambda graph, x: graph.both("Sub", graph.conv(x, 8), x),
    lambda graph, x: graph.both("Add", x, graph.constant(np.ones((1, 8, 1, 1), np.float32))),
    lambda graph, x: graph.both("Add", graph.max_pool(graph.concat(x, x)), pooled(graph, x)),
    lambda graph, x: residual(graph, graph.both("Mul", x, graph.conv(x, 8))),
])  # fmt: skip
def test_the_float_result_stays(part):
    graph = Graph(size=8)
    x = part(graph, graph.relu(unlike(graph)))
    model = to_ir(graph.model(graph.conv(x, 6)))
    run_passes(model)
    builder = equalized(model)
    assert relative_error(run_ir(model, IMAGES[0]), run_ir(builder.model, IMAGES[0])) < 1e-5
