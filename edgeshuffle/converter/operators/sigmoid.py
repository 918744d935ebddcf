"""Sigmoid: 1 / (1 + exp(-x))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.operator import Channels, Operator, Scale
from edgeshuffle.converter.plan import QMIN, QParams

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class Sigmoid(Operator):
    """Every element alone; the TFLite 8-bit specification fixes the output's scale."""

    channels = Channels.CHANNELWISE
    scale = Scale.GIVEN
    never_negative = True

    def grid(self, node: ir.Node) -> QParams:  # noqa: ARG002
        """From 0 to 1, in steps of 1/256."""
        return QParams(1 / 256, QMIN)

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """In float."""
        return [inputs[0].sigmoid()]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or com.microsoft.QLinearSigmoid."""
        if writer.style == "qdq":
            writer.qdq(node, scalar=True)
        else:
            writer.qlinear(node, "QLinearSigmoid", scalar=True)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """LOGISTIC."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        read, made = writer.alike(source, result)
        writer.operator("LOGISTIC", [read], [made], version=writer.version(2))


OPERATOR: Final = Sigmoid()
