"""Fill the tiles of convolutions whose channels are cut apart.

A convolution that only cuts read may make further channels (`further_channels`), which none of
them takes.
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
    """To a multiple of `tile` channels, where there is no multiple of `unless`."""
    return fill(draft, tile, unless, _wanted)


def _wanted(node: ir.Node, reach: Reach) -> ir.Value | None:
    read = reach.depthwise or reach.readers or reach.joins
    return node.outputs[0] if reach.cuts and not read else None
