"""Heads that one convolution computes get a convolution each, and so a scale each."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Graph, noise, run_all

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe


def rewritten(proto):
    """The model after the passes, which computes the same, and its convolutions' rows."""
    model = to_ir(proto)
    run_passes(model)
    expected, found = run_all(proto, noise(8)), run_all(model, noise(8))
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)
    rows = [n.inputs[1].shape[0] for n in model.graph if n.op_type == "Conv"]
    return model, rows


def scores_and_boxes(cut):
    """A graph that splits 7 channels into 3 scores and 4 boxes, and the two values."""
    graph = Graph()
    x = graph.conv(graph.relu(graph.conv("input", 6, 3)), 7)
    if cut == "Split":
        return graph, graph.split(x, 3, 4)
    return graph, [graph.cut(x, 0, 3), graph.cut(x, 3, 7)]


@pytest.mark.parametrize("cut", ["Split", "Slice"])
def test_heads_have_convolutions_and_scales_of_their_own(cut):
    graph, (scores, boxes) = scores_and_boxes(cut)
    scores = graph.add("Sigmoid", scores)[0]
    boxes = graph.transpose(graph.reshape(boxes, 1, 4, 64), 0, 2, 1)
    model, rows = rewritten(graph.model(scores, boxes))
    assert rows == [6, 3, 4]
    assert "Split" not in {node.op_type for node in model.graph}
    plan = quantize(model, [noise(8, seed) for seed in range(4)], load_recipe("fast")).plan
    heads = [n.outputs[0].name for n in model.graph if n.op_type == "Conv"][1:]
    assert len({plan.activations[name].scale for name in heads}) == 2


def test_what_another_convolution_reads_stays_together():
    graph, (scores, boxes) = scores_and_boxes("Split")
    _, rows = rewritten(graph.model(scores, graph.conv(boxes, 2)))
    assert rows == [6, 7, 2]


def test_what_is_put_beside_others_stays_together():
    graph, (scores, boxes) = scores_and_boxes("Split")
    _, rows = rewritten(graph.model(graph.concat(boxes, scores)))
    assert rows == [6, 7]


def test_parts_that_overlap_stay_together():
    graph = Graph()
    x = graph.conv("input", 7)
    _, rows = rewritten(graph.model(graph.cut(x, 0, 4), graph.cut(x, 3, 7)))
    assert rows == [7]
