"""Add and Mul: residuals, gates and constants, float and INT8, on both runtimes."""

from __future__ import annotations

import numpy as np
import pytest
from operator_check import check_operator


def residual(op):
    def apply(graph, x):
        return graph.add(op, x, graph.relu(graph.conv(x, graph.channels[x])))[0]

    return apply


def rectified(graph, x):
    return graph.relu(graph._like(residual("Add")(graph, x), x))


def swish(graph, x):
    return graph.add("Mul", x, graph.add("Sigmoid", x)[0])[0]


def gated(graph, x):
    """A squeeze-excite unit."""
    pooled = graph._like(graph.add("GlobalAveragePool", x)[0], x)
    graph.sizes[pooled] = 1
    gate = graph.relu(graph.conv(pooled, 4))
    gate = graph.add("Sigmoid", graph.conv(gate, graph.channels[x]))[0]
    return graph.add("Mul", x, gate)[0]


def constant(op, *shape, first=False):
    def apply(graph, x):
        sizes = [{"C": graph.channels[x], "S": graph.sizes[x]}.get(size, size) for size in shape]
        array = graph.random.uniform(0.5, 1.5, sizes).astype(np.float32)
        operands = [x, graph.constant(array)]
        return graph.add(op, *(operands[::-1] if first else operands))[0]

    return apply


@pytest.mark.parametrize(
    "apply",
    [
        pytest.param(residual("Add"), id="residual"),
        pytest.param(rectified, id="with relu"),
        pytest.param(residual("Mul"), id="product"),
        pytest.param(gated, id="gate"),
        pytest.param(swish, id="swish"),
        pytest.param(constant("Add", 1, "C", 1, 1), id="offset a channel"),
        pytest.param(constant("Mul", "C", 1, 1, first=True), id="factor a channel"),
        pytest.param(constant("Mul"), id="factor"),
        pytest.param(constant("Add", 1, "C", "S", "S"), id="offset an element"),
    ],
)
def test_two_operands(tmp_path, apply):
    check_operator(tmp_path, apply, steps=3)


def test_sigmoid(tmp_path):
    check_operator(tmp_path, lambda graph, x: graph.add("Sigmoid", x)[0], steps=2)
