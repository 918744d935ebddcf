"""Models of a fixed batch compute for every image alone what they compute for it among others."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Graph, noise, run_all

from edgeshuffle.converter.frontend.one_image import of_one_image
from edgeshuffle.errors import ModelError

BATCH = 3


def read_by(graph, value):
    proto = graph.model(value)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = BATCH
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    return proto


def dealt(graph, x):
    """Megvii's split: images and channels in one axis, then behind another."""
    pairs = graph.add("Reshape", x, graph.ints(BATCH * 3, 2, 64))[0]
    parts = graph.add("Transpose", pairs, perm=[1, 0, 2])[0]
    five = graph.add("Reshape", parts, graph.ints(2, -1, 3, 8, 8))[0]
    return graph.add("Gather", five, graph.constant(np.int64(1)), axis=0)[0]


def resized(graph, x):
    none = graph.constant(np.zeros(0, np.float32))
    return graph.add("Resize", x, none, none, graph.ints(BATCH, 6, 16, 16), mode="nearest")[0]


def expanded(graph, x):
    pooled = graph.add("GlobalAveragePool", x)[0]
    return graph.add("Mul", x, graph.add("Expand", pooled, graph.ints(BATCH, 6, 8, 8))[0])[0]


def flat(graph, x):
    rows = graph.add("Reshape", x, graph.ints(BATCH * 6, 64))[0]
    return graph.add("Reshape", rows, graph.ints(BATCH, 384))[0]


@pytest.mark.parametrize("apply", [dealt, resized, expanded, flat])
def test_every_image_gives_what_it_gave(apply):
    graph = Graph(size=8)
    proto = read_by(graph, apply(graph, graph.conv("input", 6)))
    images = [noise(8, seed) for seed in range(BATCH)]
    (together,) = run_all(proto, np.concatenate(images)).values()
    made = of_one_image(proto, BATCH)
    for image, wanted in zip(images, together, strict=True):
        (alone,) = run_all(made, image).values()
        np.testing.assert_allclose(alone, wanted[None], rtol=1e-6, atol=1e-6)


def mean_of_all(graph, x):
    return graph.add("Sub", x, graph.add("ReduceMean", x, graph.ints(0), keepdims=1)[0])[0]


def of_an_own(graph, x):
    return graph.add("Add", x, graph.constant(np.ones((BATCH, 1, 1, 1), np.float32)))[0]


def one_of_them(graph, x):
    return graph.add("Gather", x, graph.constant(np.int64(1)), axis=0)[0]


def behind(graph, x):
    return graph.add("Transpose", x, perm=[1, 0, 2, 3])[0]


@pytest.mark.parametrize("apply", [mean_of_all, of_an_own, one_of_them, behind])
def test_what_mixes_images_is_refused(apply):
    graph = Graph(size=8)
    with pytest.raises(ModelError, match="these may mix them"):
        of_one_image(read_by(graph, apply(graph, graph.conv("input", 6))), BATCH)
