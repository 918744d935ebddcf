"""Pad a convolution's input row by row and not pixel by pixel (`padding`).

XNNPACK makes a PAD part of the convolution that reads it, in fp32 and INT8, but not in fp16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.padding import needed, write_out
from edgeshuffle.converter.lower.view import can_view
from edgeshuffle.converter.operators.conv import reach

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = False


def run(draft: Draft) -> int:
    """Every convolution for which TFLite has no padding of its own."""
    count = 0
    for node in draft.convolutions():
        source, weight = node.inputs[0], g.constant(node.inputs[1])
        if source is None or weight is None or not can_view(source):
            continue
        pads = needed(node, reach(weight.shape[2:], g.ints(node, "dilations", (1, 1))))
        if pads is not None:
            write_out(draft, node, source, pads)
            count += 1
    return count
