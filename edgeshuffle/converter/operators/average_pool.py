"""AveragePool: the mean of every window. Over the whole picture it becomes GlobalAveragePool.

TFLite's pools count what they padded only where nothing was: under SAME, a mean is that of the
pixels inside. Any other mean is one over a picture that is padded with zeros, times the window's
size over the number of pixels that ONNX counts, which is a constant for every pixel of the output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.max_pool import write_pool
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale
from edgeshuffle.converter.plan import QMAX

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer
    from edgeshuffle.converter.plan import QParams


class AveragePool(Operator):
    """A mean over windows keeps the order of channels."""

    channels = Channels.CHANNELWISE
    scale = Scale.TIED
    between = True
    homogeneous = True

    def check(self, node: ir.Node) -> str | None:
        """Of two axes, without what TFLite's pools do not have."""
        if len(g.ints(node, "kernel_shape", ())) != 2:
            return "is not a pool of height and width, which alone is supported"
        if any(size != 1 for size in g.ints(node, "dilations", ())):
            return "has dilations, which are not supported"
        if g.integer(node, "ceil_mode", 0):
            return "has windows of nothing but padding, which are not supported"
        return None

    def averaged(self, node: ir.Node) -> int:
        """The window."""
        return int(np.prod(g.ints(node, "kernel_shape", ())))

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Of a picture padded with zeros, and set right."""
        import torch
        import torch.nn.functional as F

        (top, bottom), (left, right) = _reach(node)
        padded = F.pad(inputs[0], (left, right, top, bottom))
        kernel = g.ints(node, "kernel_shape", ())
        mean = F.avg_pool2d(padded, kernel, g.ints(node, "strides", (1, 1)))
        return [mean * torch.from_numpy(_correction(node))]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or com.microsoft.QLinearAveragePool."""
        if writer.style == "qdq":
            writer.qdq(node, scalar=True)
        else:
            writer.qlinear(node, "QLinearAveragePool", copied=True, scalar=True, channels_last=0)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """AVERAGE_POOL_2D, and MUL where the padding or what is counted asks for it.

        XNNPACK has no INT8 pool of means: a DEPTHWISE_CONV_2D takes an eighth of the time.
        """
        result, kernel = node.outputs[0], g.ints(node, "kernel_shape", ())
        correction = _correction(node)
        whole = bool((correction == 1).all())
        may_be_same = not whole and not _counts_padding(node)
        source, padding = writer.window(node, kernel, result, may_be_same=may_be_same)
        params = writer.parameters(result)
        if whole and params is not None:
            _write_convolution(writer, node, source, params)
            return
        exact = whole or padding == writer.same
        made = (
            writer.value(result)
            if exact
            else writer.like(result, g.shape_of(result)[1], f"{result.name}_mean")
        )
        write_pool(writer, "AVERAGE_POOL_2D", node, source, made, padding)
        if not exact:
            factor = writer.constant(f"{result.name}_factor", correction, 4)
            writer.operator(
                "MUL", [made, factor], [writer.value(result)], "MulOptions",
                version=writer.version(2),
            )  # fmt: skip


def _write_convolution(writer: NhwcWriter, node: ir.Node, source: int, params: QParams) -> None:
    """A mean as a convolution with equal weights, of the pads that the source has."""
    result, kernel = node.outputs[0], g.ints(node, "kernel_shape", ())
    channels = g.shape_of(result)[1]
    scale = np.full(channels, 1 / np.prod(kernel) / QMAX, np.float32)
    weight = np.full((1, *kernel, channels), QMAX, np.int8)
    bias = np.zeros(channels, np.int32)
    down, across = g.ints(node, "strides", (1, 1))
    writer.operator(
        "DEPTHWISE_CONV_2D",
        [
            source,
            writer.buffer.constant(f"{result.name}_shares", weight, scale, 3),
            writer.buffer.constant(
                f"{result.name}_zeros", bias, (scale * np.float32(params.scale)).astype(np.float32)
            ),
        ],
        [writer.value(result)],
        "DepthwiseConv2DOptions",
        padding=writer.valid,
        strideH=down,
        strideW=across,
        depthMultiplier=1,
        dilationHFactor=1,
        dilationWFactor=1,
        version=writer.version(3),
    )


def _counts_padding(node: ir.Node) -> bool:
    return bool(g.integer(node, "count_include_pad", 0))


def _reach(node: ir.Node) -> list[tuple[int, int]]:
    """How far the windows reach before and after each axis."""
    source = node.inputs[0]
    assert source is not None
    pads, strides = g.ints(node, "pads", (0, 0, 0, 0)), g.ints(node, "strides", (1, 1))
    results = g.shape_of(node.outputs[0])[2:]
    return [
        (begin, max((result - 1) * stride + width - size - begin, 0))
        for begin, result, stride, width, size in zip(
            pads[:2],
            results,
            strides,
            g.ints(node, "kernel_shape", ()),
            g.shape_of(source)[2:],
            strict=True,
        )
    ]


def _correction(node: ir.Node) -> np.ndarray:
    """The window's size over the pixels that count, (height, width) of the output."""
    source = node.inputs[0]
    assert source is not None
    kernel, pads = g.ints(node, "kernel_shape", ()), g.ints(node, "pads", (0, 0, 0, 0))
    strides, results = g.ints(node, "strides", (1, 1)), g.shape_of(node.outputs[0])[2:]
    counts = []
    for axis, size in enumerate(g.shape_of(source)[2:]):
        counted = pads[axis], pads[axis + 2]
        low, high = (-counted[0], size + counted[1]) if _counts_padding(node) else (0, size)
        starts = np.arange(results[axis]) * strides[axis] - pads[axis]
        counts.append(np.minimum(starts + kernel[axis], high) - np.maximum(starts, low))
    found: np.ndarray = (np.prod(kernel) / np.outer(*counts)).astype(np.float32)
    return found


OPERATOR: Final = AveragePool()
