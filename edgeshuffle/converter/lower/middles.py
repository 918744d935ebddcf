"""Fill the tiles of kernels between a convolution and the next one.

What a dense convolution makes for a depthwise one, and that for the next dense one, may have
further channels that change nothing (`further_channels`): W2 D W1 x = [W2 0] (D, 0) [W1; 0] x.
Kernels compute whole tiles of channels, and pass by slower ways what a tile does not fill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.further_channels import is_dense, missing, reach_of, widen
from edgeshuffle.converter.operators.fused import fused

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = True


def run(draft: Draft, tile: int, unless: int) -> int:
    """To a multiple of `tile` channels, where there is no multiple of `unless`."""
    count = 0
    for node in draft.convolutions():
        reach = reach_of(node) if is_dense(node) else None
        alone = g.sole_consumer(fused(node).output)
        if reach is None or alone not in reach.depthwise or reach.cuts or reach.joins:
            continue
        channels = g.shape_of(node.outputs[0])[1]
        by = missing(channels, tile, unless)
        if by:
            widen(draft, node, reach, by)
            count += 1
    return count
