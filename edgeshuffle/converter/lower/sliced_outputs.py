"""Fill the tiles of convolutions whose channels are cut apart.

A convolution that only cuts read may make further channels (`further_channels`), which none of
them takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.further_channels import is_dense, missing, reach_of, widen

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = True


def run(draft: Draft, tile: int, unless: int) -> int:
    """To a multiple of `tile` channels, where there is no multiple of `unless`."""
    count = 0
    for node in draft.convolutions():
        reach = reach_of(node) if is_dense(node) else None
        if reach is None or not reach.cuts or reach.depthwise or reach.readers or reach.joins:
            continue
        channels = g.shape_of(node.outputs[0])[1]
        by = missing(channels, tile, unless)
        if by:
            widen(draft, node, reach, by)
            count += 1
    return count
