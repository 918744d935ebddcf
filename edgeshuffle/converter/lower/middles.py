"""Fill the tiles of kernels between a convolution and the next one.

What a dense convolution makes for a depthwise one, and that for the next dense one, may have
further channels that change nothing (`further_channels`): W2 D W1 x = [W2 0] (D, 0) [W1; 0] x.
Kernels compute whole tiles of channels, and pass by slower ways what a tile does not fill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.further_channels import fill
from edgeshuffle.converter.operators.fused import fused

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.lower.draft import Draft
    from edgeshuffle.converter.lower.further_channels import Reach

ADDS_CHANNELS: Final = True


def run(draft: Draft, tile: int, unless: int) -> int:
    """To a multiple of `tile` channels, where there is no multiple of `unless`."""
    return fill(draft, tile, unless, _wanted)


def _wanted(node: ir.Node, reach: Reach) -> ir.Value | None:
    alone = g.sole_consumer(fused(node).output)
    passed_on = alone not in reach.depthwise or reach.cuts or reach.joins
    return None if passed_on else node.outputs[0]
