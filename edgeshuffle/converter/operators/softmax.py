"""Softmax: numbers that add up to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import by_image
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale
from edgeshuffle.converter.plan import QMIN, QParams

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class Softmax(Operator):
    """Along one axis; the TFLite 8-bit specification fixes the output's scale."""

    channels = Channels.CHANNELWISE
    scale = Scale.GIVEN
    never_negative = True

    def check(self, node: ir.Node) -> str | None:
        """Of four axes at most."""
        return None if len(g.shape_of(node.outputs[0])) <= 4 else "has a value of more than 4 axes"

    def grid(self, node: ir.Node) -> QParams:  # noqa: ARG002
        """From 0 to 1, in steps of 1/256."""
        return QParams(1 / 256, QMIN)

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Along the axis of every image."""
        source = node.inputs[0]
        assert source is not None
        images = by_image(inputs[0], source)
        return [self.compute(images, 1 + last_by_default(node)).flatten(0, 1)]

    def compute(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """In float."""
        return x.softmax(axis)

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or com.microsoft.QLinearSoftmax."""
        if writer.style == "qdq":
            writer.qdq(node, scalar=True)
        else:
            writer.qlinear(
                node, "QLinearSoftmax", scalar=True, axis=last_by_default(node), opset=13
            )

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """SOFTMAX along the last axis."""
        source = node.inputs[0]
        assert source is not None
        read, made = writer.along(source, last_by_default(node), node.outputs[0])
        writer.operator(
            "SOFTMAX", [read], [made], "SoftmaxOptions", beta=1.0, version=writer.version(2)
        )


def last_by_default(node: ir.Node) -> int:
    """The node's axis, from 0 on."""
    return g.integer(node, "axis", -1) % len(g.shape_of(node.outputs[0]))


OPERATOR: Final = Softmax()
