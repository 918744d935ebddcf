"""MaxPool: the largest integer stands for the largest real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class MaxPool(Operator):
    """The largest value of every window."""

    channels = Channels.CHANNELWISE
    scale = Scale.TIED
    homogeneous = True

    def check(self, node: ir.Node) -> str | None:
        """Without what TFLite's pools do not have."""
        if len(node.outputs) > 1 or any(size != 1 for size in g.ints(node, "dilations", ())):
            return "has dilations or indices, which are not supported"
        if g.integer(node, "ceil_mode", 0):
            return "has windows of nothing but padding, which are not supported"
        return None

    def role(self, node: ir.Node) -> Channels:
        """Indices count the channels, too."""
        return Channels.CHANNELWISE if len(node.outputs) == 1 else Channels.FIXED

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Nothing that is padded is ever the largest."""
        import torch
        import torch.nn.functional as F

        top, left, bottom, right = g.ints(node, "pads", (0, 0, 0, 0))
        padded = F.pad(inputs[0], (left, right, top, bottom), value=-torch.inf)
        kernel = g.ints(node, "kernel_shape", ())
        return [F.max_pool2d(padded, kernel, g.ints(node, "strides", (1, 1)))]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """MAX_POOL_2D."""
        kernel = g.ints(node, "kernel_shape", ())
        index, padding = writer.window(node, kernel, node.outputs[0], lowest=True)
        write_pool(writer, "MAX_POOL_2D", node, index, writer.value(node.outputs[0]), padding)


def write_pool(
    writer: NhwcWriter, kind: str, node: ir.Node, source: int, result: int, padding: int
) -> None:
    """Write a pool of the node's windows, from one tensor to another."""
    down, across = g.ints(node, "strides", (1, 1))
    height, width = g.ints(node, "kernel_shape", ())
    writer.operator(
        kind,
        [source],
        [result],
        "Pool2DOptions",
        padding=padding,
        strideH=down,
        strideW=across,
        filterHeight=height,
        filterWidth=width,
        version=writer.version(2),
    )


OPERATOR: Final = MaxPool()
