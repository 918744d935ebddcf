"""HardSwish: x min(max(x + 3, 0), 6) / 6.

XNNPACK has no INT8 kernel for it, and TFLite's own takes many times as long as those for its parts.
So INT8 files of both formats multiply x by its HardSigmoid, a number from 0 to 1 in 254 steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.hard_sigmoid import GATE, write_gate
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer

_LINE: Final = (1 / 6, 0.5)
# XNNPACK adds no numbers of scales that are 256 times that of the sum.
_COARSE: Final = 4.0


class HardSwish(Operator):
    """Every element alone."""

    channels = Channels.CHANNELWISE
    scale = Scale.OWN

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """In float."""
        import torch.nn.functional as F

        return [F.hardswish(inputs[0])]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """HardSigmoid, and Mul or com.microsoft.QLinearMul."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        grid, name = writer.scalars(GATE), f"{result.name}_gate"
        alpha, beta = _LINE
        read = writer.dequantized(source, node, scalar=True)
        real = writer.add("HardSigmoid", [read], f"{name}_real", alpha=alpha, beta=beta)
        gate = writer.add("QuantizeLinear", [real, *grid], name)
        if writer.style == "qoperator":
            given = [writer.steps(source), *writer.params(source, scalar=True), gate, *grid]
            inputs = [*given, *writer.params(result, scalar=True)]
            writer.microsoft("QLinearMul", inputs, writer.name(result))
            return
        gate = writer.add("DequantizeLinear", [gate, *grid], f"{name}_rounded")
        product = writer.add("Mul", [read, gate], f"{result.name}_real")
        writer.quantize(product, result, scalar=True)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """HARD_SWISH in float, and where x has hardly any steps near 0."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        read, made = writer.alike(source, result)
        params = writer.parameters(source)
        if params is None or params.scale > _COARSE:
            writer.operator("HARD_SWISH", [read], [made])
            return
        name = f"{result.name}_gate"
        gate = writer.inner(name, writer.shape(read), GATE)
        write_gate(writer, read, gate, name, params, _LINE)
        writer.operator("MUL", [read, gate], [made], "MulOptions", version=writer.version(2))


OPERATOR: Final = HardSwish()
