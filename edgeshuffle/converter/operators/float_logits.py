"""A classifier of integers whose sums become floats, and are not rounded to 8 bits.

ONNX Runtime makes QGemm with a float output of a Gemm between DequantizeLinears and nothing. TFLite
has no such operator, but one of floats by integer weights, for which runtimes round each image's
floats to 8 bits: from the smallest to the largest of them and 0. Two inputs more, the smallest and
the largest that there can be, with weights of zero, make that the scale that they had: it changes
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.plan import QMAX, QMIN

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer
    from edgeshuffle.converter.plan import QConv

# A multiple of what kernels with dot products take at once.
_ENDS: Final = np.array([QMAX, QMIN, QMIN, QMIN], np.int8)


def onnx(writer: Int8Writer, node: ir.Node, conv: QConv) -> None:
    """Gemm of dequantized integers, or QGemm; with the Flatten that alone reads it."""
    source, result = node.inputs[0], node.outputs[0]
    assert source is not None
    name = result.name or ""
    row = writer.add("Flatten", [writer.steps(source)], f"{name}_row")
    weight = writer.constant(f"{name}_weight", conv.weight[:, :, 0, 0])
    scales = writer.constant(f"{name}_weight_scale", conv.scales)
    zeros = writer.constant(f"{name}_weight_zero_point", np.zeros(len(conv.scales), np.int8))
    bias = writer.constant(f"{name}_bias", conv.bias)
    reader = g.sole_consumer(result)
    flattened = reader is not None and reader.op_type == "Flatten"
    end = f"{name}_sums"
    if reader is not None and flattened:
        writer.written.add(reader)
        end = writer.floats_of(reader.outputs[0])
    if writer.style == "qoperator":
        inputs = [row, *writer.params(source, scalar=True), weight, scales, zeros, bias]
        writer.microsoft("QGemm", inputs, end, transB=1)
    else:
        bias_scales = writer.constant(f"{name}_bias_scale", conv.bias_scales)
        real = [
            writer.add("DequantizeLinear", [row, *writer.params(source)], f"{name}_row_real"),
            writer.add("DequantizeLinear", [weight, scales, zeros], f"{name}_weight_real", axis=0),
            writer.add("DequantizeLinear", [bias, bias_scales], f"{name}_bias_real", axis=0),
        ]
        writer.add("Gemm", real, end, transB=1)
    if not flattened:
        axes = writer.constant("height_width", np.array([2, 3]))
        writer.add("Unsqueeze", [end, axes], writer.floats_of(result))


def tflite(writer: NhwcWriter, node: ir.Node, conv: QConv) -> None:
    """CONV_2D of dequantized integers between both ends of their scale."""
    source, result = node.inputs[0], node.outputs[0]
    assert source is not None
    name = result.name or ""
    read, params = writer.integers(source)
    images, *ones, count = g.nhwc(g.shape_of(source))
    ends = np.broadcast_to(_ENDS, (images, *ones, len(_ENDS)))
    scale = np.array([params.scale], np.float32)
    both = [read, writer.buffer.constant(f"{name}_ends", ends, scale, 0, params.zero_point)]
    shape = (images, *ones, count + len(_ENDS))
    joined = writer.inner(f"{name}_between_ends", shape, params)
    writer.operator("CONCATENATION", both, [joined], "ConcatenationOptions", axis=3, version=2)
    real = writer.inner(f"{name}_real", shape, None)
    writer.operator("DEQUANTIZE", [joined], [real], "DequantizeOptions", version=2)
    rows = np.pad(conv.weight[:, :, 0, 0], [(0, 0), (0, len(_ENDS))])[:, None, None]
    weight = writer.buffer.constant(f"{name}_weight", rows, conv.scales, 0)
    bias = (conv.bias * conv.bias_scales.astype(np.float64)).astype(np.float32)
    writer.operator(
        "CONV_2D",
        [real, weight, writer.buffer.constant(f"{name}_bias", bias)],
        [writer.value(result)],
        "Conv2DOptions",
        padding=writer.valid,
        strideH=1,
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        version=5,
    )
