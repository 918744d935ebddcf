"""Pad a max-pool's input row by row and not pixel by pixel (`padding`).

Holds where no number is negative, so that zeros are never the largest of a window that also has a
pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.padding import needed, write_out
from edgeshuffle.converter.lower.view import can_view
from edgeshuffle.converter.operators.sign import is_non_negative

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = False


def run(draft: Draft) -> int:
    """Every max-pool for which TFLite has no padding of its own."""
    count = 0
    for node in list(draft.graph):
        source = node.inputs[0] if node.inputs else None
        if node.op_type != "MaxPool" or source is None or not can_view(source):
            continue
        pads = needed(node, g.ints(node, "kernel_shape", ()))
        if pads is not None and is_non_negative(source):
            write_out(draft, node, source, pads)
            count += 1
    return count
