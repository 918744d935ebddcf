"""Ranges by the error that they cause in the outputs of the convolutions that read them.

A quantization error of energy e in channel c adds e |W_c|^2 to that of a reader's output, where W_c
is the column of its weights. So the squared error of each channel counts by its readers' columns.
Each end of the range is searched in turn over fractions of what was observed. Other images reach
further than those that were observed, the more so the fewer these are, so there is a margin that
shrinks with their number.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import is_conv, operator_of
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count, is_move
from edgeshuffle.converter.plan import QMAX, QMIN, params_of_range
from edgeshuffle.converter.quant.channels import column_energy, flow
from edgeshuffle.converter.quant.rounding import squared_error
from edgeshuffle.converter.quant.samples import Channels
from edgeshuffle.host.workers import Workers

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.ties import Group

    Parts = list[tuple[Channels, np.ndarray]]

STAGE: Final = "choose ranges"
BY_CHANNEL: Final = True
CHOOSES_RANGES: Final = True
_FRACTIONS: Final = np.linspace(1.0, 0.1, 19)
# Measured with 100, 300 and 1,000 images: the best margins were 0.2, 0.1 and 0 to 0.1.
_MARGIN: Final = 2.0
# The second search, of so many ends, is this much finer.
_FINER: Final = 0.1
_CLOSER: Final = 9


def refine(builder: PlanBuilder) -> None:
    """Set the ranges of the plan."""
    groups, samples = builder.groups, builder.samples
    weights = importance(builder.model.graph)
    margin = 1 + _MARGIN / len(builder.images) ** 0.5
    given = builder.model.graph.inputs[0]
    ranges = []
    with Workers() as workers:
        for done, group in enumerate(groups):
            builder.tell(done, len(groups))
            low, high = best_range(_parts(group, samples, weights), workers)
            # The values of pixels are known.
            wider = 1.0 if given in group.sources else margin
            ranges.append((low * wider, high * wider))
    builder.ranges, builder.planned = ranges, None
    builder.tell(len(groups), len(groups))


def _parts(group: Group, samples: dict[str, Channels], weights: dict[str, np.ndarray]) -> Parts:
    """What brings numbers into a group, and what its channels count for."""
    found: dict[str, set[int]] = {}
    for value in group.sources:
        for name, channel in _origins(value, samples):
            found.setdefault(name, set()).add(channel)
    parts = []
    for name, chosen in found.items():
        rows, whole = sorted(chosen), samples[name]
        part = Channels(whole.values[rows], whole.low[rows], whole.high[rows])
        parts.append((whole if len(rows) == len(whole.low) else part, weights[name][rows]))
    return parts


def _origins(value: ir.Value, samples: dict[str, Channels]) -> list[tuple[str, int]]:
    """Of which value that was sampled, and which channel of it, each channel of a value is.

    What a split passes on to a concatenation is not sampled itself.
    """
    name, node = value.name or "", value.producer()
    if name in samples:
        return [(name, channel) for channel in range(len(samples[name].low))]
    assert node is not None
    read = [_origins(source, samples) for _, source in g.data_inputs(node)]
    if not is_move(node):
        return read[0]
    ends = np.cumsum([len(origins) for origins in read])
    numbers = [
        np.arange(end - len(origins), end).reshape(1, -1, 1, 1)
        for end, origins in zip(ends, read, strict=True)
    ]
    moved = operator_of(node).move(node, numbers)[list(node.outputs).index(value)]
    origins = list(itertools.chain(*read))
    return [origins[int(number)] for number in moved.reshape(-1)]


def importance(graph: ir.Graph) -> dict[str, np.ndarray]:
    """Weights of the squared errors of made values' channels (C,); 1 where nothing reads them."""
    flowing = flow(graph)
    values = flowing.trace.values
    found = [np.zeros(channel_count(value)) for value in values]
    for number in reversed(range(len(values))):
        for reading in flowing.read[number]:
            node = reading.node
            if node is None:
                cost = np.ones(len(reading))
            elif is_conv(node):
                cost = column_energy(node)
            else:
                cost = _through(node, found[flowing.number[node.outputs[0]]], len(reading))
            mine = reading.made == number
            np.add.at(found[number], reading.index[mine], cost[mine])
    return {
        value.name or "": cost if cost.any() else np.ones_like(cost)
        for value, cost in zip(values, found, strict=True)
    }


def _through(node: ir.Node, cost: np.ndarray, count: int) -> np.ndarray:
    """Of an operator's input channels, from those of its output."""
    if len(cost) != count:
        return np.full(count, cost.mean())
    return cost / operator_of(node).averaged(node)


def best_range(parts: Parts, workers: Workers) -> tuple[float, float]:
    """The range with the least weighted squared error over several values' channels."""
    widest = (
        min(0.0, *(float(channels.low.min()) for channels, _ in parts)),
        max(0.0, *(float(channels.high.max()) for channels, _ in parts)),
    )
    low, high = widest

    def best(some: Parts, ranges: list[tuple[float, float]]) -> tuple[float, float]:
        return ranges[int(np.argmin(workers.all(lambda ends: _error(some, *ends), ranges)))]

    thinned = [(channels.thinned(), cost) for channels, cost in parts]
    for some, around in ((thinned, _all), (parts, _near)):
        if widest[1] > 0:
            low, high = best(some, [(low, end) for end in around(high, widest[1])])
        if widest[0] < 0:
            low, high = best(some, [(end, high) for end in around(low, widest[0])])
    return low, high


def _all(_: float, widest: float) -> list[float]:
    """Fractions of the widest end."""
    return [float(fraction) * widest for fraction in _FRACTIONS]


def _near(end: float, widest: float) -> list[float]:
    """Some within a part of the fractions' span of `end`."""
    reach = _FINER * (_FRACTIONS[0] - _FRACTIONS[-1]) / 2
    fractions = end / widest + np.linspace(reach, -reach, _CLOSER)
    return [float(fraction) * widest for fraction in np.clip(fractions, _FRACTIONS[-1], 1)]


def _error(parts: Parts, low: float, high: float) -> float:
    params = params_of_range(low, high)
    step = np.array([params.scale], np.float32)
    limits = QMIN - params.zero_point, QMAX - params.zero_point
    total = 0.0
    for channels, cost in parts:
        sums = squared_error(channels.values, None, step, *limits)
        total += float(sums @ cost) / channels.values.shape[1]
    return total
