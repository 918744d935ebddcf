"""Fill the tiles of convolutions whose readers want just their channels.

    y = cut([W; 0] x + [b; 0], O)

with O the channels of W: a copy of the result, where a tile that is not filled costs more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.draft import NOTHING, set_channels
from edgeshuffle.converter.lower.further_channels import is_dense, missing
from edgeshuffle.converter.operators.fused import fused

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = True


def run(draft: Draft, tile: int, unless: int) -> int:
    """To a multiple of `tile` channels, where there is no multiple of `unless` and only a Concat
    reads them.
    """
    count = 0
    for node in draft.convolutions():
        if not is_dense(node):
            continue
        result = fused(node).output
        channels = g.shape_of(result)[1]
        joined = {reader.op_type for reader in result.consumers()} == {"Concat"}
        by = missing(channels, tile, unless)
        if joined and not result.is_graph_output() and by:
            _cut(draft, node, channels, by)
            count += 1
    return count


def _cut(draft: Draft, node: ir.Node, channels: int, by: int) -> None:
    made, read = draft.part(node, "wide")
    draft.outputs(node, np.concatenate([np.arange(channels), np.full(by, NOTHING)]))
    for value in dict.fromkeys((node.outputs[0], made)):
        set_channels(value, channels + by)
    starts, ends, axes = (
        draft.constant(f"{read.name}_{name}", number)
        for name, number in (("start", 0), ("end", channels), ("axis", 1))
    )
    draft.insert("Slice", [made, starts, ends, axes], read, read.consumers()[0])
