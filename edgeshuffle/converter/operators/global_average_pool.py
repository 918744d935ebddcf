"""GlobalAveragePool: the mean over height and width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class GlobalAveragePool(Operator):
    """(N, C, H, W) to (N, C, 1, 1)."""

    channels = Channels.CHANNELWISE
    scale = Scale.OWN
    homogeneous = True

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """The mean, with its axes kept."""
        return [inputs[0].mean((2, 3), keepdim=True)]

    def averaged(self, node: ir.Node) -> int:
        """The pixels."""
        source = node.inputs[0]
        assert source is not None
        return int(np.prod(g.shape_of(source)[2:]))

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or com.microsoft.QLinearGlobalAveragePool."""
        if writer.style == "qdq":
            writer.qdq(node)
        else:
            writer.qlinear(node, "QLinearGlobalAveragePool", channels_last=0)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """MEAN, with its axes kept: XNNPACK wants 4-D in and out."""
        source = node.inputs[0]
        assert source is not None
        writer.operator(
            "MEAN",
            [writer.read(source), writer.ints("height_width", 1, 2)],
            [writer.value(node.outputs[0])],
            "ReducerOptions",
            keepDims=True,
            version=writer.version(2),
        )


OPERATOR: Final = GlobalAveragePool()
