"""Random members of the ShuffleNet family, and what is around them in detectors."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from networks import Graph

FORMS = ("5d", "4d", "3d", "gather")
STEPS = (
    *("unit", "down", "relu", "shuffle", "cut", "strided", "pool", "twice", "author", "conv"),
    *("residual", "crossed", "gate", "spatial", "constant", "v1", "grouped", "matrix", "output"),
    *("alone", "slopes", "limits", "hard swish", "quotient"),
    *("norm", "window", "resize", "pad", "mean"),
)
ALONE = (
    *(("Sigmoid", {}), ("HardSwish", {}), ("HardSigmoid", {}), ("HardSigmoid", {"alpha": 1 / 6})),
    *(("LeakyRelu", {}), ("LeakyRelu", {"alpha": 0.3}), ("Identity", {})),
    *(("Softmax", {"axis": 1}), ("Softmax", {"axis": 3}), ("LogSoftmax", {"axis": 1})),
)
BOTH = ("Add", "Mul", "Sub", "Div")
RESIZED = (
    *(("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_floor")),
    *(("linear", "half_pixel", "floor"), ("linear", "align_corners", "floor")),
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


def hard_swish(graph, x):
    """Spelled out."""
    raised = graph.both("Add", x, graph.constant(np.float32(3)))
    limits = [graph.constant(np.float32(limit)) for limit in (0, 6)]
    gate = graph._like(graph.add("Clip", raised, *limits)[0], x)
    return graph.both("Div", graph.both("Mul", x, gate), graph.constant(np.float32(6)))


def detections(graph, x, turned):
    """Two heads of a detector, of which each place's numbers are one row."""
    rows, places = [], graph.sizes[x] ** 2
    for _ in range(2):
        head = graph.reshape(graph.conv(x, 6), 1, 6, places)
        rows.append(graph.transpose(head, 0, 2, 1) if turned else head)
    joined = graph.add("Concat", *rows, axis=1 if turned else 2)[0]
    limits = [graph.ints(n) for n in (1, 5, 2 if turned else 1)]
    return graph.add("Sigmoid", graph.add("Slice", joined, *limits)[0])[0]


def norm(graph, x):
    """A batch norm, after a convolution or anything else."""
    shape = graph.channels[x]
    statistics = [graph.random.uniform(0.5, 2, shape).astype(np.float32) for _ in range(4)]
    return graph._like(graph.add("BatchNormalization", x, *map(graph.constant, statistics))[0], x)


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
            return graph.both(draw(st.sampled_from(("Add", "Mul", "Sub"))), *self.swapped(x, y))
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
            op = draw(st.sampled_from(BOTH))
            return graph.both(op, *((x, values) if op == "Div" else self.swapped(x, values)))
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
        return self.other_step(kind, x)

    def other_step(self, kind, x):
        graph, draw, size = self.graph, self.draw, self.graph.sizes[x]
        if kind in ("alone", "slopes", "limits", "hard swish", "quotient"):
            return self.activation(kind, x)
        if kind == "norm":
            return norm(graph, graph.conv(x, graph.channels[x]) if draw(st.booleans()) else x)
        if kind == "window" and size > 2:
            return self.window(x)
        if kind == "resize" and size < 10:
            mode, where, rounding = draw(st.sampled_from(RESIZED))
            scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
            made = graph.add(
                "Resize", x, "", scales, mode=mode, nearest_mode=rounding,
                coordinate_transformation_mode=where,
            )  # fmt: skip
            return self.sized(made[0], x, 2 * size)
        if kind == "pad":
            first, last = draw(st.integers(0, 2)), draw(st.integers(0, 2))
            amounts = graph.ints(0, 0, first, first, 0, 0, last, last)
            return self.sized(graph.add("Pad", x, amounts)[0], x, size + first + last)
        if kind == "mean":
            mean = graph.add("ReduceMean", x, graph.ints(2, 3), keepdims=0)[0]
            mean = graph.add("Unsqueeze", mean, graph.ints(2, 3))[0]
            # A difference would have no mean left but errors.
            return graph.both("Add", x, self.sized(mean, x, 1))
        return x

    def sized(self, made, x, size):
        self.graph.sizes[self.graph._like(made, x)] = size
        return made

    def activation(self, kind, x):
        graph, draw = self.graph, self.draw
        if kind == "slopes":
            count = draw(st.sampled_from([1, graph.channels[x]]))
            slopes = graph.random.uniform(0.05, 0.4, (count, 1, 1)).astype(np.float32)
            return graph._like(graph.add("PRelu", x, graph.constant(slopes))[0], x)
        if kind == "limits":
            low, high = draw(st.sampled_from([(0, 6), (-1, 1), (0.5, None), (None, 1)]))
            limits = ["" if n is None else graph.constant(np.float32(n)) for n in (low, high)]
            return graph._like(graph.add("Clip", x, *limits)[0], x)
        if kind == "hard swish":
            return hard_swish(graph, x)
        if kind == "quotient":
            y = graph.relu(graph.conv(x, graph.channels[x]))
            return graph.both("Div", x, graph.both("Add", y, graph.constant(np.float32(1))))
        op, attributes = draw(st.sampled_from(ALONE))
        return graph._like(graph.add(op, x, **attributes)[0], x)

    def window(self, x):
        """A pool of either kind, with all its ways of padding."""
        graph, draw, size = self.graph, self.draw, self.graph.sizes[x]
        pool = draw(st.sampled_from(("AveragePool", "MaxPool")))
        pad, stride, ceil = (draw(st.sampled_from(two)) for two in ((0, 1), (1, 2), (0, 1)))
        counted = {"count_include_pad": draw(st.integers(0, 1))} if pool == "AveragePool" else {}
        whole, left = divmod(size + 2 * pad - 3, stride)
        # A last window of nothing but padding has no mean, and exporters leave it out.
        ceil = int(ceil and left and (whole + 1) * stride < size + pad)
        made = graph.add(
            pool, x, kernel_shape=[3, 3], strides=[stride, stride], pads=[pad] * 4,
            ceil_mode=ceil, **counted,
        )  # fmt: skip
        return self.sized(made[0], x, whole + 1 + ceil)

    def swapped(self, x, y):
        return (y, x) if self.draw(st.booleans()) else (x, y)

    def finished(self, x):
        graph, others = self.graph, dict.fromkeys(self.outputs)
        others.pop(x, None)
        kind = self.draw(st.sampled_from(("classifier", "matmul", "features", "detector")))
        if kind == "features":
            x = graph.shuffle(x) if graph.channels[x] % 2 == 0 else x
            return graph.model(x, *others)
        if kind == "detector":
            return graph.model(detections(graph, x, self.draw(st.booleans())), *others)
        if kind == "matmul":
            flat = graph.add("Squeeze", graph.add("GlobalAveragePool", x)[0], graph.ints(2, 3))[0]
            weight = graph.random.standard_normal((graph.channels[x], 5)).astype(np.float32)
            return graph.model(graph.add("MatMul", flat, graph.constant(weight))[0], *others)
        return graph.classifier(x, others=others)


@st.composite
def family_like(draw, steps=STEPS):
    """(graph, model): a chain of units, shuffles in any spelling and operators in between."""
    growth = Growth(draw)
    x = growth.graph.conv("input", 2 * draw(st.integers(2, 8)))
    for _ in range(draw(st.integers(1, 6))):
        x = growth.step(draw(st.sampled_from(steps)), x)
    return growth.graph, growth.finished(x)
