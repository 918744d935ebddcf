"""What Concat, Split, Slice and Gather have in common once the passes are done: they move whole
channels of 4-D values, in order, which is all that the TFLite writer knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale, shapes

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir


class WholeChannels(Operator):
    """Moves elements; written if those are whole channels."""

    channels = Channels.MOVES
    scale = Scale.TIED

    def check(self, node: ir.Node) -> str | None:
        """Along the channels of 4-D values only."""
        if self.along_channels(node) and len(g.shape_of(node.outputs[0])) == 4:
            return None
        return f"moves more than whole channels ({shapes(node)}), which is not supported"

    def along_channels(self, node: ir.Node) -> bool:
        """Whether the node moves along axis 1 and nothing else."""
        return g.integer(node, "axis", 0) in (1, -3)


def axis_of(node: ir.Node, rank: int) -> int:
    """The node's axis, from 0 on."""
    return g.integer(node, "axis", 0) % rank


def argument(node: ir.Node, position: int) -> np.ndarray | None:
    """A constant input, or None where there is none."""
    return g.constant(node.inputs[position]) if len(node.inputs) > position else None
