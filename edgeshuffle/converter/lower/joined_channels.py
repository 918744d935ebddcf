"""Fill the tiles of what reads several values beside each other.

The last of the values of a Concat may have further channels (`further_channels`), which then are
the last of all: [x, (y; 0)] = ([x, y]; 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.lower.further_channels import fill

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.lower.draft import Draft
    from edgeshuffle.converter.lower.further_channels import Reach

ADDS_CHANNELS: Final = True


def run(draft: Draft, tile: int, unless: int) -> int:
    """To a multiple of `tile` channels together, where there is no multiple of `unless` and a
    depthwise convolution reads them.
    """
    return fill(draft, tile, unless, _wanted)


def _wanted(_: ir.Node, reach: Reach) -> ir.Value | None:
    return reach.joins[0].outputs[0] if len(reach.joins) == 1 and reach.depthwise else None
