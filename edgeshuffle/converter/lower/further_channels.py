"""Channels that a value gets beyond its own, and that no result ever depends on.

A convolution with rows of zeros, W' = [W; 0] and b' = [b; 0], makes channels of 0 after its own.
Whatever works on every channel alone makes some number f(0) of 0, and a depthwise convolution with
zeros for them makes 0 again. A convolution that reads them with columns of zeros computes
[W 0] (x; y) + b = W x + b for every finite y, in float and, as 0 stands for 0 in int8 weights, in
integers. A cut that ends before them never sees them. So where every reader is one of these, all
results stay what they are, to the bit in INT8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.draft import NOTHING, set_channels
from edgeshuffle.converter.operators import Channels, operator_of
from edgeshuffle.converter.operators.move import axis_of
from edgeshuffle.converter.operators.slice import cuts

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.converter.lower.draft import Draft


@dataclass
class Reach:
    """Where further channels of a convolution get to: values that have them at their end, and the
    operators on their way.
    """

    values: list[ir.Value] = field(default_factory=list)
    depthwise: list[ir.Node] = field(default_factory=list)
    readers: list[ir.Node] = field(default_factory=list)
    cuts: list[ir.Node] = field(default_factory=list)
    joins: list[ir.Node] = field(default_factory=list)


def fill(
    draft: Draft, tile: int, unless: int, wanted: Callable[[ir.Node, Reach], ir.Value | None]
) -> int:
    """Widen dense convolutions for a value of theirs to have a multiple of `tile` channels, where
    it has no multiple of `unless`; returns how many.

    `wanted` chooses the value of a convolution and what its further channels reach, or None.
    """
    count = 0
    for node in draft.convolutions():
        reach = reach_of(node) if is_dense(node) else None
        value = None if reach is None else wanted(node, reach)
        by = 0 if value is None else missing(g.shape_of(value)[1], tile, unless)
        if reach is not None and by:
            widen(draft, node, reach, by)
            count += 1
    return count


def missing(channels: int, tile: int, unless: int) -> int:
    """How many channels more are a multiple of `tile`; none more than a multiple of `unless`."""
    return -channels % tile if channels % unless else 0


def is_dense(node: ir.Node) -> bool:
    """Whether a node is a convolution without groups whose weights are known."""
    return (
        node.op_type == "Conv"
        and operator_of(node).role(node) is Channels.FREE
        and g.integer(node, "group", 1) == 1
    )


def reach_of(conv: ir.Node) -> Reach | None:
    """Of a dense convolution; None where a result could depend on further channels."""
    found = Reach()
    waiting = [conv.outputs[0]]
    while waiting:
        value = waiting.pop(0)
        if value.is_graph_output() or len(g.shape_of(value)) != 4:
            return None
        found.values.append(value)
        for node in dict.fromkeys(value.consumers()):
            if list(node.inputs).count(value) != 1:
                return None
            if not _follow(node, value, found):
                return None
            if node in found.depthwise or node in found.joins or _is_single(node):
                waiting.append(node.outputs[0])
    return found


def widen(draft: Draft, conv: ir.Node, reach: Reach, by: int) -> None:
    """Give a dense convolution, and what its channels reach, `by` further channels."""
    for node in (conv, *reach.depthwise):
        weight = g.constant(node.inputs[1])
        assert weight is not None
        order = np.concatenate([np.arange(len(weight)), np.full(by, NOTHING)])
        draft.outputs(node, order)
        if node in reach.depthwise:
            node.attributes["group"] = ir.AttrInt64("group", len(order))
    for value in reach.values:
        set_channels(value, g.shape_of(value)[1] + by)
    for node in reach.readers:
        source = node.inputs[0]
        assert source is not None
        draft.columns(node, g.shape_of(source)[1])
    for node in reach.cuts:
        if node.op_type == "Split":
            _cut_off(draft, node, by)


def _follow(node: ir.Node, value: ir.Value, found: Reach) -> bool:
    """Whether the node is no obstacle."""
    if node.op_type == "Conv" and node.inputs[0] is value:
        if g.is_depthwise(node):
            found.depthwise.append(node)
        elif is_dense(node):
            found.readers.append(node)
        else:
            return False
        return True
    if node.op_type == "Concat" and axis_of(node, 4) == 1 and node.inputs[-1] is value:
        found.joins.append(node)
        return True
    if _cuts(node, value):
        found.cuts.append(node)
        return True
    return _is_single(node)


def _is_single(node: ir.Node) -> bool:
    """Whether a node works on every channel of one value alone, and all channels alike."""
    constants = [array for value in node.inputs if (array := g.constant(value)) is not None]
    source = node.inputs[0]
    return (
        node.op_type != "Conv"
        and operator_of(node).role(node) is Channels.CHANNELWISE
        and len(g.data_inputs(node)) == 1
        and len(node.outputs) == 1
        and all(array.size == 1 for array in constants)
        and source is not None
        and g.shape_of(source)[:2] == g.shape_of(node.outputs[0])[:2]
    )


def _cuts(node: ir.Node, value: ir.Value) -> bool:
    """Whether a node takes channels, none of them by how far from the end it is."""
    channels = g.shape_of(value)[1]
    if node.op_type == "Split":
        return axis_of(node, 4) == 1 and sum(g.shape_of(v)[1] for v in node.outputs) == channels
    if node.op_type != "Slice":
        return False
    part = cuts(node, g.shape_of(value))[1]
    known = part.start is not None and part.stop is not None and part.step == 1
    return known and 0 <= part.start < part.stop <= channels


def _cut_off(draft: Draft, split: ir.Node, by: int) -> None:
    """Let a Split give the further channels to nobody."""
    source = split.inputs[0]
    assert source is not None
    sizes = [g.shape_of(value)[1] for value in split.outputs]
    n, _, height, width = g.shape_of(source)
    split.attributes.pop("num_outputs", None)
    split.resize_inputs(2)
    split.replace_input_with(1, draft.constant(f"{source.name}_sizes", *sizes, by))
    split.resize_outputs(len(sizes) + 1)
    rest, made = (
        split.outputs[-1],
        draft.value(f"{source.name}_rest", (n, by, height, width), source),
    )
    rest.name, rest.shape, rest.type = made.name, made.shape, made.type
