"""LogSoftmax: the logarithm of Softmax. ONNX Runtime has no integer operator for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.softmax import Softmax, last_by_default
from edgeshuffle.converter.plan import QMAX, QParams

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class LogSoftmax(Softmax):
    """Along one axis."""

    never_negative = False

    def grid(self, node: ir.Node) -> QParams:  # noqa: ARG002
        """From -16 to 0, in steps of 1/16."""
        return QParams(16 / 256, QMAX)

    def compute(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """In float."""
        return x.log_softmax(axis)

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ."""
        writer.qdq(node)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """LOG_SOFTMAX along the last axis."""
        source = node.inputs[0]
        assert source is not None
        read, made = writer.along(source, last_by_default(node), node.outputs[0])
        writer.operator(
            "LOG_SOFTMAX", [read], [made], "LogSoftmaxOptions", version=writer.version(2)
        )


OPERATOR: Final = LogSoftmax()
