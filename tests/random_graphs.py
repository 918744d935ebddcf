"""Random members of the ShuffleNet family, and what is around them in detectors."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from networks import Graph

FORMS = ("5d", "4d", "3d", "gather")
STEPS = (
    *("unit", "down", "relu", "shuffle", "cut", "strided", "pool", "twice", "author", "conv"),
    *("residual", "crossed", "gate", "spatial", "constant", "v1", "grouped", "matrix", "output"),
)


def unit(graph, x, form, *, down=False):
    """A ShuffleNetV2 unit that ends in the shuffle."""
    half = graph.channels[x] // 2
    if down:
        kept = graph.relu(graph.conv(graph.depthwise(x, stride=2), half))
        y = graph.depthwise(graph.relu(graph.conv(x, half)), stride=2)
    else:
        kept, y = graph.split(x, half, half)
        y = graph.depthwise(graph.relu(graph.conv(y, half)))
    y = graph.relu(graph.conv(y, half))
    return graph.shuffle(graph.concat(kept, y), form)


def unit_v1(graph, x, form, groups, *, down=False):
    """A ShuffleNetV1 unit."""
    channels = graph.channels[x]
    y = graph.relu(graph.grouped(x, channels, groups))
    y = graph.depthwise(graph.shuffle(y, form, groups), stride=2 if down else 1)
    y = graph.grouped(y, channels, groups)
    if down:
        return graph.relu(graph.concat(graph.max_pool(x), y))
    return graph.relu(graph.both("Add", x, y))


def gated(graph, x):
    """Squeeze and excite."""
    channels = graph.channels[x]
    pooled = graph.add("GlobalAveragePool", x)[0]
    graph.channels[pooled], graph.sizes[pooled] = channels, 1
    gate = graph.conv(graph.relu(graph.conv(pooled, 2)), channels)
    gate = graph._like(graph.add("Sigmoid", gate)[0], gate)
    return graph.both("Mul", x, gate)


class Growth:
    """A graph that grows step by step; `outputs` are values that it returns beside the last."""

    def __init__(self, draw):
        self.draw = draw
        self.graph = Graph(size=draw(st.sampled_from([5, 8])), seed=draw(st.integers(0, 2**16)))
        self.outputs = []

    def divisor(self, *numbers):
        return self.draw(
            st.sampled_from([d for d in (1, 2, 3, 4) if all(n % d == 0 for n in numbers)])
        )

    def order(self, channels):
        return np.array(self.draw(st.permutations(range(channels))))

    def step(self, kind, x):
        graph, draw = self.graph, self.draw
        channels, form = graph.channels[x], draw(st.sampled_from(FORMS))
        half, even, large = channels // 2, channels % 2 == 0, graph.sizes[x] > 2
        if kind in ("unit", "down") and even:
            return unit(graph, x, form, down=kind == "down" and large)
        if kind == "relu":
            return graph.relu(x)
        if kind == "shuffle":
            return graph.shuffle(x, form, self.divisor(channels))
        if kind == "cut" and channels > 3:
            at = draw(st.integers(1, channels - 1))
            a, b = graph.cut(x, 0, at), graph.cut(x, at, channels)
            return graph.concat(graph.relu(b), a)
        if kind == "strided" and even:
            a, b = graph.cut(x, 0, channels, 2), graph.cut(x, 1, channels, 2)
            return graph.concat(graph.depthwise(b), graph.conv(a, half))
        if kind == "pool" and large:
            return graph.max_pool(x)
        if kind == "twice" and channels < 20:
            return graph.concat(x, graph.relu(x))
        if kind == "author" and even:
            one, other = graph.deinterleave(x)
            return graph.concat(graph.conv(other, half), one)
        if kind == "conv":
            return graph.conv(x, 2 * draw(st.integers(2, 8)), 3)
        return self.joint_step(kind, x, form)

    def joint_step(self, kind, x, form):
        graph, draw, channels = self.graph, self.draw, self.graph.channels[x]
        if kind == "residual":
            y = graph.conv(graph.depthwise(graph.relu(graph.conv(x, 4))), channels)
            return graph.both(draw(st.sampled_from(("Add", "Mul"))), *self.swapped(x, y))
        if kind == "crossed":
            y = graph.shuffle(x, form, self.divisor(channels))
            return graph.both("Add", *self.swapped(x, graph.relu(y)))
        if kind == "gate":
            return gated(graph, x)
        if kind == "spatial":
            return graph.both("Mul", *self.swapped(x, graph.conv(x, 1)))
        if kind == "constant":
            shape = draw(st.sampled_from([(1, channels, 1, 1), (channels, 1, 1), (1,), ()]))
            values = graph.constant(np.float32(graph.random.uniform(0.5, 2, shape)))
            return graph.both(draw(st.sampled_from(("Add", "Mul"))), *self.swapped(x, values))
        if kind == "v1":
            down = draw(st.booleans()) and graph.sizes[x] > 2 and channels < 20
            return unit_v1(graph, x, form, self.divisor(channels), down=down)
        if kind == "grouped":
            outputs = 12 if draw(st.booleans()) else channels
            return graph.grouped(x, outputs, self.divisor(channels, outputs))
        if kind == "matrix":
            weight = np.eye(channels, dtype=np.float32)[self.order(channels)]
            y = graph.add("Conv", x, graph.constant(weight[:, :, None, None]))[0]
            return graph._like(y, x)
        if kind == "output":
            self.outputs.append(x)
        return x

    def swapped(self, x, y):
        return (y, x) if self.draw(st.booleans()) else (x, y)

    def finished(self, x):
        graph, others = self.graph, dict.fromkeys(self.outputs)
        others.pop(x, None)
        if self.draw(st.booleans()):
            x = graph.shuffle(x) if graph.channels[x] % 2 == 0 else x
            return graph.model(x, *others)
        return graph.classifier(x, others=others)


@st.composite
def family_like(draw, steps=STEPS):
    """(graph, model): a chain of units, shuffles in any spelling and operators in between."""
    growth = Growth(draw)
    x = growth.graph.conv("input", 2 * draw(st.integers(2, 8)))
    for _ in range(draw(st.integers(1, 6))):
        x = growth.step(draw(st.sampled_from(steps)), x)
    return growth.graph, growth.finished(x)
