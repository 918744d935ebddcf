"""Cross-layer equalization: give every channel of a value the same range, exactly.

A tensor has one scale, and a channel that uses a tenth of its range has a tenth of the steps. For
positive s and convolutions W1, W2 with a ReLU (or max-pool, mean, concatenation, split) between

    W2 relu(W1 x + b1) = (W2 S) relu(S^-1 (W1 x + b1))

(Nagel et al., arXiv:1906.04721, section 4.1). Where nothing but convolutions without padding reads
a convolution without activation, channels can be moved as well as scaled:

    W2 (W1 x + b1) + b2 = (W2 S) (S^-1 (W1 x + b1 - o)) + (b2 + W2 o)

Ranges are those with the least squared error of 8 bits a channel, so that rare peaks do not decide.
Weights have a scale an output channel: rows are free to be rescaled, and so are the weights of a
depthwise convolution. The columns of a dense one are not, so its inputs are scaled half the way.

What a sum adds up has the factors of the sum (`factors`): for each channel the largest that any of
the values asks for, so that none of them needs a wider range than before.

Values that share a scale share its steps. One that is far wider than the others, as the last stage
of a detector can be where it meets the earlier ones, is narrowed as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import is_conv
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count
from edgeshuffle.converter.quant.channels import Flow, by_groups, flow
from edgeshuffle.converter.quant.factors import factors
from edgeshuffle.converter.quant.rounding import squared_error
from edgeshuffle.host.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.samples import Channels
    from edgeshuffle.converter.quant.ties import Group

    Halves = dict[int, tuple[np.ndarray, np.ndarray]]

STAGE: Final = "equalize channels"
BY_CHANNEL: Final = True
_LEVELS: Final = 255
_FRACTIONS: Final = np.linspace(1.0, 0.25, 16)
# By their numbers: what is looked at again with all samples.
_NEAR: Final = np.arange(-2, 3)[:, None]
# Beyond, channels that hardly ever fire on the calibration images would have no room on others.
_LEAST: Final = 0.1
_DENSE_EXPONENT: Final = 0.5
# Times the median of a group's values. In the demo networks none is more than 1.7 times as wide, in
# FastestDet one is 9 times: narrowed to 1, 2 or 3 times, it gains 3.0, 3.5 and 3.5 dB.
_WIDEST: Final = 2.0
# Channels whose places fit into a core's cache.
_ROWS: Final = 8


def refine(builder: PlanBuilder) -> None:
    """Rescale the model's weights."""
    samples = builder.samples
    builder.tell(0, 1)
    equalize(builder.model.graph, samples, builder.groups)
    g.drop_dead(builder.model)
    builder.rewritten(samples)
    builder.tell(1, 1)


def equalize(graph: ir.Graph, samples: dict[str, Channels], groups: Sequence[Group]) -> None:
    """Rewrite every convolution's weights in place, and the samples to what follows for them; the
    float result stays.
    """
    flowing = flow(graph)
    values = flowing.trace.values
    scales = [np.ones(channel_count(value)) for value in values]
    offsets = [np.zeros(channel_count(value)) for value in values]
    known = factors(flowing)
    halves = _halves(flowing, known.free, samples)
    excess = _excess(flowing, halves, groups)
    for number in (number for number, free in enumerate(known.free) if free):
        first = known.first[number]
        if number != first:
            scales[number] = scales[first]
        elif number in known.passing:
            scales[number] = flowing.gathered(known.passing[number][0], scales)
        else:
            kin = [k for k, other in enumerate(known.first) if other == first and k in halves]
            offsets[number] = halves[number][0]
            half = _joint([halves[k][1] for k in kin])
            half = np.maximum(half, _LEAST * half.max())
            if half.max() > 0:
                exponent = 1.0 if _all_depthwise(flowing, number) else _DENSE_EXPONENT
                narrower = max(excess.get(k, 1.0) for k in kin)
                scales[number] = narrower * (half / half.max()) ** exponent
    for node in list(graph):
        if is_conv(node) and node in flowing.by_node:
            _rescale(graph, flowing, node, scales, offsets)
    for number, value in enumerate(values):
        if (value.name or "") in samples:
            _move(samples[value.name or ""], scales[number], offsets[number])


def _joint(halves: Sequence[np.ndarray]) -> np.ndarray:
    """What suits channels that have one factor in several values, each by its own measure."""
    first = halves[0]
    alike = (half * (first.max() / half.max()) for half in halves if half.max() > 0)
    return np.asarray(np.max([first, *alike], axis=0))


def _excess(flowing: Flow, halves: Halves, groups: Sequence[Group]) -> dict[int, float]:
    """By how much values are too wide for the others of their group, of those that are."""
    widths = {}
    for number, (_, half) in halves.items():
        node = flowing.trace.values[number].producer()
        assert node is not None
        widths[fused(node).output] = number, float(half.max())
    found = {}
    for group in groups:
        members = [widths[value] for value in group.sources if value in widths]
        most = _WIDEST * float(np.median([width for _, width in members])) if members else 0.0
        found.update({number: width / most for number, width in members if width > most > 0})
    return found


def _halves(flowing: Flow, free: list[bool], samples: dict[str, Channels]) -> Halves:
    """Middle and half the width of the range that suits each channel of the convolutions' values;
    the middle is 0 where channels cannot be moved.
    """

    def search(some: tuple[Channels, bool, bool]) -> tuple[np.ndarray, np.ndarray]:
        channels, movable, signed = some
        if not movable:
            half = best_bound(channels, signed=signed)
            return np.zeros_like(half), half
        low, high = best_range(channels)
        return (low + high) / 2, (high - low) / 2

    found = {}
    with Workers() as workers:
        for number, value in enumerate(flowing.trace.values):
            node = value.producer()
            if not free[number] or node is None or not is_conv(node):
                continue
            result = fused(node)
            channels = samples[result.output.name or ""]
            readers = flowing.read[number]
            movable = result.activation == "none" and all(_is_unpadded(r.node) for r in readers)
            signed = bool((channels.low < 0).any())
            rows = range(0, len(channels.low), _ROWS)
            some = [(channels[row : row + _ROWS], movable, signed) for row in rows]
            middles, halves = zip(*workers.all(search, some), strict=True)
            found[number] = np.concatenate(middles), np.concatenate(halves)
    return found


def _move(channels: Channels, scale: np.ndarray, offset: np.ndarray) -> None:
    """What channels hold after their convolution was rescaled."""
    factor, shift = scale.astype(np.float32), offset.astype(np.float32)
    for array in (channels.values.T, channels.low, channels.high):
        if shift.any():
            np.subtract(array, shift, out=array)
        if (factor != 1).any():
            np.divide(array, factor, out=array)


def best_bound(channels: Channels, *, signed: bool) -> np.ndarray:
    """The bound (C,) of |x| with the least squared error of 8 bits, for each channel alone."""
    largest = np.maximum(-channels.low, channels.high).astype(np.float64)
    chosen = None
    for values in (channels.thinned().values, channels.values):
        tried = largest * _FRACTIONS[_tried(len(largest), chosen)]
        errors = [_error(values, -bound if signed else 0 * bound, bound) for bound in tried]
        chosen = _least(len(largest), chosen, errors)
    best: np.ndarray = largest * _FRACTIONS[chosen]
    return best


def best_range(channels: Channels) -> tuple[np.ndarray, np.ndarray]:
    """The range (C,), (C,) with the least squared error of 8 bits, for each channel alone."""
    low, high = channels.low.astype(np.float64), channels.high.astype(np.float64)
    thinned = channels.thinned().values
    middle = np.median(thinned, 1).astype(np.float64)
    chosen: dict[str, np.ndarray | None] = {"low": None, "high": None}
    found = {"low": low, "high": high}
    for values in (thinned, channels.values):
        for end, widest in (("high", high), ("low", low)):
            numbers = _tried(len(low), chosen[end])
            ends = middle + (widest - middle) * _FRACTIONS[numbers]
            errors = [
                _error(values, tried["low"], tried["high"])
                for tried in ({**found, end: row} for row in ends)
            ]
            chosen[end] = best = _least(len(low), chosen[end], errors)
            found[end] = middle + (widest - middle) * _FRACTIONS[best]
    return found["low"], found["high"]


def _tried(count: int, chosen: np.ndarray | None) -> np.ndarray:
    """Numbers of fractions, (n, C), for each of `count` channels: all, or those near the chosen."""
    if chosen is None:
        return np.arange(len(_FRACTIONS))[:, None].repeat(count, 1)
    return np.clip(chosen + _NEAR, 0, len(_FRACTIONS) - 1)


def _least(count: int, chosen: np.ndarray | None, errors: list[np.ndarray]) -> np.ndarray:
    """The number (C,) of each channel's best, the widest of equals."""
    best: np.ndarray = _tried(count, chosen)[np.argmin(errors, 0), np.arange(count)]
    return best


def _error(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    start = low.astype(np.float32) if low.any() else None
    step = np.maximum((high - low) / _LEVELS, np.finfo(np.float32).tiny).astype(np.float32)
    return squared_error(values, start, step, 0, _LEVELS)


def _is_unpadded(node: ir.Node | None) -> bool:
    return node is not None and is_conv(node) and not any(g.ints(node, "pads", ()))


def _all_depthwise(flowing: Flow, number: int) -> bool:
    for reading in flowing.read[number]:
        node = reading.node
        assert node is not None
        if is_conv(node):
            if not g.is_depthwise(node):
                return False
        elif not _all_depthwise(flowing, flowing.number[node.outputs[0]]):
            return False
    return True


def _rescale(
    graph: ir.Graph,
    flowing: Flow,
    node: ir.Node,
    scales: list[np.ndarray],
    offsets: list[np.ndarray],
) -> None:
    reading, number = flowing.by_node[node], flowing.number[node.outputs[0]]
    factor, moved = (flowing.gathered(reading, arrays) for arrays in (scales, offsets))
    result, shift = scales[number], offsets[number]
    weight = np.asarray(g.constant(node.inputs[1]), np.float64)
    given = argument(node, 2)
    bias = np.zeros(len(weight)) if given is None else given.astype(np.float64)
    if g.is_depthwise(node):
        bias = bias + weight.sum((1, 2, 3)) * moved
        weight = weight * factor[:, None, None, None]
    elif g.is_grouped(node):
        parts = by_groups(weight, g.integer(node, "group", 1))
        inside = factor.reshape(len(parts), 1, -1, 1, 1)
        shifted = parts.sum((3, 4)) @ moved.reshape(len(parts), -1, 1)
        bias, weight = bias + shifted.reshape(-1), (parts * inside).reshape(weight.shape)
    else:
        bias = bias + weight.sum((2, 3)) @ moved
        weight = weight * factor[None, :, None, None]
    weight = weight / result[:, None, None, None]
    bias = (bias - shift) / result
    name = node.inputs[1].name if node.inputs[1] is not None else "weight"
    node.resize_inputs(3)
    for slot, array, kind in ((1, weight, "equalized"), (2, bias, "equalized_bias")):
        made = g.new_constant(graph, f"{name}_{kind}", array.astype(np.float32))
        node.replace_input_with(slot, made)
