"""Let the first convolution read groups of g pixels beside each other as one with g times as many
channels.

With g pixels in a group, pixel w is channel block i = w mod g of group w // g. At stride s, with
q = g / s results a group, result k of group j reads at dx

    w = s (q j + k) - p + dx = g j + t,    t = s k - p + dx

so the kernel over groups has width ceil and floor of t / g from lo to hi, and

    W'[k O + o, i C + c, dy, t // g - lo] = W[o, c, dy, dx],    i = t mod g

and 0 elsewhere. For 3 x 3 at stride 2: 3 x 2 over (224, 112, 6) for g = 2; for g = 4 also over
(224, 56, 12), with two results as channels of one. Kernels of few channels are all overhead; these
have more, at the price of multiplying zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.further_channels import is_dense
from edgeshuffle.converter.lower.view import can_view, view

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = False
# More channels than pictures have fill a tile as they are.
_FEW = 4


def run(draft: Draft, size: int) -> int:
    """Convolutions with strides that read the graph's input, by groups of `size` pixels."""
    found = [node for node in draft.convolutions() if _fits(draft, node, size)]
    for node in found:
        _group(draft, node, size)
    return len(found)


def _fits(draft: Draft, node: ir.Node, size: int) -> bool:
    source = node.inputs[0]
    if source is None or source not in draft.graph.inputs:
        return False
    if not is_dense(node) or not can_view(source):
        return False
    _, channels, _, width = g.shape_of(source)
    across, result = g.ints(node, "strides", (1, 1))[1], g.shape_of(node.outputs[0])[3]
    whole = across > 1 and size % across == 0 and width % size == 0
    flat = g.ints(node, "dilations", (1, 1)) == (1, 1) and channels <= _FEW
    return whole and flat and result == width // across and can_view(node.outputs[0])


def _group(draft: Draft, node: ir.Node, size: int) -> None:
    source, weight = node.inputs[0], g.constant(node.inputs[1])
    assert source is not None
    assert weight is not None
    _, channels, height, width = g.shape_of(source)
    outputs, _, tall, wide = weight.shape
    down, across = g.ints(node, "strides", (1, 1))
    top, left, bottom, _ = g.ints(node, "pads", (0, 0, 0, 0))
    results = size // across
    lowest = -left // size
    highest = (size - across - left + wide - 1) // size

    def grouped(rows: np.ndarray) -> np.ndarray:
        made = np.zeros((len(rows), size, channels, tall, highest - lowest + 1), rows.dtype)
        for result, block in enumerate(np.split(np.arange(len(rows)), results)):
            for dx in range(wide):
                at = across * result - left + dx
                made[block, at % size, :, :, at // size - lowest] = rows[block, :, :, dx]
        return made.reshape(len(rows), size * channels, *made.shape[3:])

    read = view(
        draft, source, (height, width // size, size * channels), f"{source.name}_groups", node
    )
    node.replace_input_with(0, read)
    draft.outputs(node, np.tile(np.arange(outputs), results), grouped)
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", (tall, highest - lowest + 1))
    node.attributes["strides"] = ir.AttrInt64s("strides", (down, 1))
    node.attributes["pads"] = ir.AttrInt64s("pads", (top, -lowest, bottom, highest))
    if results > 1:
        _part(draft, node, results)


def _part(draft: Draft, node: ir.Node, results: int) -> None:
    """Read several results of a group, which are channels, as pixels again."""
    made, read = draft.part(node, "groups")
    n, channels, height, width = g.shape_of(read)
    for value in dict.fromkeys((node.outputs[0], made)):
        value.shape = ir.Shape((n, results * channels, height, width // results))
    last = made.producer()
    assert last is not None
    following = next(other for other in draft.graph if _is_after(other, last, draft))
    view(draft, made, (height, width, channels), f"{read.name}_pixels", following, read)


def _is_after(node: ir.Node, last: ir.Node, draft: Draft) -> bool:
    return draft.graph.index(node) > draft.graph.index(last)
