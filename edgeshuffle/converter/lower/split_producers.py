"""Compute apart what is cut apart.

The channels that a Split cuts out of a convolution's are convolutions themselves:

    split(W x + b) = (W[:k] x + b[:k], W[k:] x + b[k:], ...)

which saves copying them. Every convolution computes whole tiles of channels, so neighbours whose
channels would fill no tile alone stay together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.further_channels import is_dense
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.operators.move import axis_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = False


def run(draft: Draft, pixels: int, *tiles: int) -> int:
    """Of convolutions of at least so many pixels that only a Split reads, as far as no tile more is
    computed, for tiles of each of these numbers of channels.
    """
    count = 0
    for node in draft.convolutions():
        result = fused(node).output
        split = g.sole_consumer(result)
        if split is None or split.op_type != "Split" or not is_dense(node):
            continue
        sizes = [g.shape_of(part)[1] for part in split.outputs]
        shape = g.shape_of(result)
        if axis_of(split, len(shape)) != 1 or shape[2] * shape[3] < pixels:
            continue
        groups = _groups(sizes, tiles)
        if len(groups) > 1:
            _compute_apart(draft, node, split, groups)
            count += 1
    return count


def _groups(sizes: Sequence[int], tiles: Sequence[int]) -> list[slice]:
    """Neighbouring parts that are computed together: few that are cut, then few at all.

    No more tiles are computed than for all parts together.
    """
    best: list[tuple[int, int, int, list[slice]]] = [(0, 0, 0, [])]
    for end in range(1, len(sizes) + 1):
        ways = []
        for begin in range(end):
            computed, cut, count, before = best[begin]
            width = end - begin
            ways.append(
                (
                    computed + sum(-(-sum(sizes[begin:end]) // tile) for tile in tiles),
                    cut + (width if width > 1 else 0),
                    count + 1,
                    [*before, slice(begin, end)],
                )
            )
        best.append(min(ways, key=lambda way: way[:3]))
    return best[-1][3]


def _compute_apart(draft: Draft, node: ir.Node, split: ir.Node, groups: Sequence[slice]) -> None:
    result = fused(node).output
    n, _, height, width = g.shape_of(result)
    begin = 0
    for group in groups:
        parts = split.outputs[group]
        sizes = [g.shape_of(part)[1] for part in parts]
        order = np.arange(begin, begin + sum(sizes))
        begin += sum(sizes)
        read = [draft.stand_in(part) for part in parts]
        if len(parts) == 1:
            draft.copy(node, order, read[0], split)
            continue
        name = f"{result.name}_from_{order[0]}"
        whole = draft.value(name, (n, len(order), height, width), result)
        draft.copy(node, order, whole, split)
        cut = ir.Node(
            "",
            "Split",
            [whole, draft.constant(f"{name}_sizes", *sizes)],
            [ir.AttrInt64("axis", 1)],
            outputs=read,
            name=f"{name}/Split",
        )
        draft.graph.insert_before(split, cut)
