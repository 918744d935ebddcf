"""Padding of windows: how much they need, and zeros written row by row.

NHWC memory of a row of W pixels of C channels is a row of W C numbers. So zeros for l pixels to
the left and r to the right are l C and r C numbers around that row:

    pad(x)[h, w, c] = view(pad(view(x, (H, 1, W C)), (t, b), (l C, r C)), (H + t + b, W + l + r, C))

XNNPACK copies a padded tensor along its last axis, here thousands of bytes at once instead of a
pixel's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.view import view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.lower.draft import Draft


def needed(node: ir.Node, kernel: Sequence[int]) -> list[tuple[int, int]] | None:
    """Before and after each axis, what windows reach; None where TFLite's SAME or VALID do it."""
    source = node.inputs[0]
    assert source is not None
    strides, pads = g.ints(node, "strides", (1, 1)), g.ints(node, "pads", (0, 0, 0, 0))
    found, same = [], True
    for axis, (size, result) in enumerate(
        zip(g.shape_of(source)[2:], g.shape_of(node.outputs[0])[2:], strict=True)
    ):
        reach = (result - 1) * strides[axis] + kernel[axis] - size
        found.append((pads[axis], max(reach - pads[axis], 0)))
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + kernel[axis] - size, 0)
        same &= result == -(-size // strides[axis]) and pads[axis] == total // 2
    return None if same or not any(map(any, found)) else found


def write_out(
    draft: Draft, node: ir.Node, source: ir.Value, pads: Sequence[tuple[int, int]]
) -> None:
    """Let a node's windows read what a Pad of rows makes."""
    n, channels, height, width = g.shape_of(source)
    (top, bottom), (left, right) = pads
    name = f"{source.name}_pad"
    row = view(draft, source, (height, 1, width * channels), f"{name}_row", node)
    tall, wide = height + top + bottom, width + left + right
    padded = draft.value(name, (n, wide * channels, tall, 1), source)
    amounts = (0, left * channels, top, 0, 0, right * channels, bottom, 0)
    draft.insert("Pad", [row, draft.constant(f"{name}s", *amounts)], padded, node)
    node.replace_input_with(0, view(draft, padded, (tall, wide, channels), f"{name}_map", node))
    node.attributes["pads"] = ir.AttrInt64s("pads", (0, 0, 0, 0))
