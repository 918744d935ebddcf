"""Fill the tiles of what reads several values beside each other.

The last of the values of a Concat may have further channels (`further_channels`), which then are
the last of all: [x, (y; 0)] = ([x, y]; 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.further_channels import is_dense, missing, reach_of, widen

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = True


def run(draft: Draft, tile: int, unless: int) -> int:
    """To a multiple of `tile` channels together, where there is no multiple of `unless` and a
    depthwise convolution reads them.
    """
    count = 0
    for node in draft.convolutions():
        reach = reach_of(node) if is_dense(node) else None
        if reach is None or len(reach.joins) != 1 or not reach.depthwise:
            continue
        channels = g.shape_of(reach.joins[0].outputs[0])[1]
        by = missing(channels, tile, unless)
        if by:
            widen(draft, node, reach, by)
            count += 1
    return count
