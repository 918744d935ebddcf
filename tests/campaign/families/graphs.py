"""Random ShuffleNet-like models: exported with the outputs of their source, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from networks import Graph

from campaign.case import Case
from campaign.families.answers import same_outputs

if TYPE_CHECKING:
    from random import Random

    from campaign.case import Sandbox
    from campaign.seeds import Seeds

_SIZE = 8


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    model = sandbox.work / "model.onnx"
    onnx.save(_model(random), model)
    return Case(
        arguments=["export", "--onnx", "model.onnx", "-o", "out"],
        writes=("out",),
        right=lambda outcome: same_outputs(model, outcome.work / "out"),
    )


def _model(random: Random) -> onnx.ModelProto:
    graph = Graph(size=_SIZE, seed=random.randrange(2**31))
    x = graph.relu(graph.conv("input", random.choice((4, 8, 12)), 3))
    for _ in range(random.randint(1, 5)):
        x = _step(random, graph, x)
    return graph.classifier(graph.relu(graph.conv(x, 8)))


def _step(random: Random, graph: Graph, x: str) -> str:
    channels, size = graph.channels[x], graph.sizes[x]
    kind = random.choice(
        ("unit", "shuffle", "planes", "rows", "gather", "cut", "pool", "add", "flip")
    )
    if kind == "shuffle":
        groups = random.choice([g for g in (2, 3, 4) if channels % g == 0] or [1])
        return graph.shuffle(x, random.choice(("5d", "4d", "3d", "gather")), groups)
    if kind == "unit" and channels % 2 == 0:
        left, right = graph.split(x, channels // 2, channels // 2)
        right = graph.relu(graph.conv(graph.depthwise(right), channels // 2))
        parts = random.choice(((left, right), (right, left), (right, right)))
        return graph.shuffle(graph.concat(*parts), random.choice(("5d", "gather")))
    if kind == "planes":
        return _planes(random, graph, x)
    if kind == "rows" and size % 2 == 0:
        return _rows(random, graph, x)
    if kind == "gather":
        order = [
            random.randrange(channels) for _ in range(random.choice((channels, channels // 2)))
        ]
        made = graph.add("Gather", x, graph.constant(np.array(order, np.int64)), axis=1)[0]
        return graph.conv(graph._like(made, x, len(order)), channels)
    if kind == "cut":
        step = random.choice((1, 2, -1))
        first, last = (
            (channels - 1, -channels - 1)
            if step < 0
            else (random.randrange(channels // 2), channels)
        )
        limits = [graph.ints(n) for n in (first, last, 1, step)]
        made = graph.add("Slice", x, *limits)[0]
        kept = len(range(channels)[first : None if step < 0 else last : step])
        return graph.conv(graph._like(made, x, kept), channels)
    if kind == "pool" and size > 2:
        return graph.max_pool(x)
    if kind == "add":
        other = (
            graph.shuffle(x)
            if channels % 2 == 0 and random.random() < 0.5
            else graph.conv(x, channels)
        )
        return graph._like(graph.add("Add", x, other)[0], x)
    return graph.relu(x)


def _planes(random: Random, graph: Graph, x: str) -> str:
    """Reshape, Transpose and Reshape with factors that need not be those of a shuffle."""
    channels, size = graph.channels[x], graph.sizes[x]
    rest = channels * size * size
    shape = []
    for _ in range(random.randint(1, 3)):
        shape.append(random.choice([n for n in (1, 2, 3, 4, size, channels) if rest % n == 0]))
        rest //= shape[-1]
    shape.append(rest)
    if random.random() < 0.5:
        shape.insert(0, 1)
    order = list(range(len(shape)))
    random.shuffle(order)
    y = graph.transpose(graph.reshape(x, *shape), *order)
    return graph._like(graph.reshape(y, 1, channels, size, size), x)


def _rows(random: Random, graph: Graph, x: str) -> str:
    """Channels seen as fewer and taller planes, of which some rows are taken."""
    channels, size = graph.channels[x], graph.sizes[x]
    tall = graph.reshape(x, 1, channels // 2, 2 * size, size)
    first = random.randrange(size + 1)
    limits = [graph.ints(n) for n in (first, first + size, 2)]
    made = graph.add("Slice", tall, *limits)[0]
    return graph.conv(graph._like(made, x, channels // 2), channels)
