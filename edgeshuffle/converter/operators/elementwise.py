"""What Add, Sub, Mul and Div have in common: two operands, of which one element may stand for many.

A constant operand of an INT8 file has integers of its own, on the scale that its extremes need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.fused import clamp_is_implied, fused
from edgeshuffle.converter.operators.move import by_image
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale, shapes
from edgeshuffle.converter.operators.relu import activate

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class Elementwise(Operator):
    """`builtin` and its table of `options` are TFLite's, `integers` is ONNX Runtime's operator."""

    channels = Channels.JOINT
    scale = Scale.OWN
    fuses = True
    weights = (0, 1)
    builtin: str = ""
    options: str = ""
    integers: str = ""

    def check(self, node: ir.Node) -> str | None:
        """Run-time operands of the output's rank, finite constants."""
        rank = len(g.shape_of(node.outputs[0]))
        if (rank > 4 and not _by_number(node)) or any(
            len(g.shape_of(value)) != rank for _, value in g.data_inputs(node)
        ):
            return f"combines values of other ranks ({shapes(node)}), which is not supported"
        for value in node.inputs:
            array = g.constant(value)
            if array is not None and not np.isfinite(array).all():
                return "has a constant that is NaN or infinite"
        return None

    def role(self, node: ir.Node) -> Channels:
        """A constant that does not widen its partner leaves it channel-wise."""
        result = g.shape_of(node.outputs[0])
        read = [g.shape_of(value) for _, value in g.data_inputs(node)]
        if any(len(shape) != len(result) or len(shape) not in (2, 4) for shape in read):
            return Channels.FIXED
        if len(read) == 1:
            return Channels.CHANNELWISE if read[0] == result else Channels.FIXED
        return self.channels

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Of the operands in their order; with the activation that is computed along."""
        import torch

        read = {
            place: by_image(x, value)
            for x, (place, value) in zip(inputs, g.data_inputs(node), strict=True)
        }
        operands = [
            torch.from_numpy(np.array(array, np.float32)) if place not in read else read[place]
            for place, array in enumerate(map(g.constant, node.inputs))
        ]
        result = self.compute(*operands).flatten(0, 1)
        return [activate(result, fused(node).activation)]

    def compute(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The float result."""
        raise NotImplementedError

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or ONNX Runtime's operator where saturation does what the activation would."""
        result, name = fused(node), node.outputs[0].name
        operands = [writer.operand(node, index) for index in (0, 1)]
        params = writer.plan.activations[result.output.name or ""]
        implied = clamp_is_implied(result.activation, params)
        if writer.style == "qoperator" and self.integers and implied:
            inputs = [*operands[0], *operands[1], *writer.params(result.output, scalar=True)]
            writer.microsoft(self.integers, inputs, writer.name(result.output))
            return
        reals = [
            writer.add("DequantizeLinear", operand, f"{name}/operand_{index}")
            for index, operand in enumerate(operands)
        ]
        real = writer.add(node.op_type, reals, f"{name}_real")
        if not implied:
            real = writer.activate(result.activation, real, f"{real}_{result.activation}")
        writer.quantize(real, result.output, scalar=True)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """The builtin operator, which broadcasts."""
        result = fused(node)
        if _by_number(node):
            ((index, source),) = g.data_inputs(node)
            read, made = writer.alike(source, result.output)
            operands = [writer.operand(node, 1 - index)]
            operands.insert(index, read)
        else:
            operands = [writer.operand(node, index) for index in (0, 1)]
            made = writer.value(result.output)
        writer.operator(
            self.builtin,
            operands,
            [made],
            self.options,
            fusedActivationFunction=writer.activation(result.activation),
            version=writer.version(2),
        )


def _by_number(node: ir.Node) -> bool:
    """Whether one operand is a single number, so that the other may have any order."""
    numbers = [array for array in map(g.constant, node.inputs) if array is not None]
    return len(numbers) == 1 and numbers[0].size == 1
