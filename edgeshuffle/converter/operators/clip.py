"""Clip: ReLU6, the only one that is supported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Activation, Channels
from edgeshuffle.converter.operators.relu import Relu

if TYPE_CHECKING:
    import onnx_ir as ir


class Clip(Relu):
    """min(max(x, 0), 6)."""

    homogeneous = False
    activation: Activation = "relu6"

    def check(self, node: ir.Node) -> str | None:
        """From 0 to 6, both constant."""
        low, high = (g.constant(value) for value in (*node.inputs[1:3], None, None)[:2])
        if low is None or high is None or float(low) != 0 or float(high) != 6:
            return "is not ReLU6, the only Clip supported"
        return None

    def role(self, node: ir.Node) -> Channels:
        """Limits of one number are the same for every channel."""
        limits = [g.constant(value) for value in node.inputs[1:]]
        scalar = all(limit is not None and limit.size == 1 for limit in limits)
        return Channels.CHANNELWISE if scalar else Channels.FIXED


OPERATOR: Final = Clip()
