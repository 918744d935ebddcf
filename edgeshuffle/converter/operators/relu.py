"""Relu: computed inside the convolution before it where there is one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.operator import Activation, Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class Relu(Operator):
    """max(x, 0)."""

    channels = Channels.CHANNELWISE
    scale = Scale.TIED
    homogeneous = True
    never_negative = True
    activation: Activation = "relu"

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """At least 0."""
        return [activate(inputs[0], self.activation)]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """Alone, a Clip of integers at the zero point."""
        writer.clamp(node, 0, math.inf)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """RELU or RELU6."""
        source = node.inputs[0]
        assert source is not None
        read, made = writer.alike(source, node.outputs[0], moved=True)
        writer.operator(self.activation.upper(), [read], [made], version=writer.version(2))


def activate(x: torch.Tensor, activation: Activation) -> torch.Tensor:
    """`relu`, `relu6` or `none` of x."""
    if activation == "relu":
        return x.clamp(min=0)
    return x.clamp(0, 6) if activation == "relu6" else x


OPERATOR: Final = Relu()
