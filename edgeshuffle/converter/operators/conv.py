"""Conv: dense, grouped or depthwise, with the activation that alone reads it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import float_logits
from edgeshuffle.converter.operators.fused import clamp_is_implied, fused
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer
    from edgeshuffle.converter.operators.operator import Shape

Kind = Literal["dense", "pointwise", "depthwise"]


class Conv(Operator):
    """Weights (O, I / groups, kH, kW), bias (O,)."""

    channels = Channels.FREE
    scale = Scale.OWN
    fuses = True
    weights = (1, 2)
    multiplies = True

    def check(self, node: ir.Node) -> str | None:
        """Two axes, constant and finite weights."""
        weight = g.constant(node.inputs[1])
        if weight is None or weight.ndim != 4:
            return "has no constant 2-D weight"
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        offset = g.constant(bias)
        if bias is not None and offset is None:
            return "has a bias that is not constant"
        if not all(np.isfinite(array).all() for array in (weight, offset) if array is not None):
            return "has weights that are NaN or infinite"
        return None

    def role(self, node: ir.Node) -> Channels:
        """A depthwise one is channel-wise."""
        if g.is_depthwise(node):
            return Channels.CHANNELWISE
        if any(g.constant(value) is None for value in node.inputs[1:] if value is not None):
            return Channels.FIXED
        return Channels.FREE if g.integer(node, "group", 1) == 1 else Channels.GROUPED

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """With the node's own weights."""
        import torch

        weight = g.constant(node.inputs[1])
        assert weight is not None
        bias = argument(node, 2)
        offset = None if bias is None else torch.from_numpy(np.array(bias, np.float32))
        return [convolve(node, inputs[0], torch.from_numpy(np.array(weight, np.float32)), offset)]

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        """One for every weight of an output's channel."""
        return math.prod(output) * math.prod(inputs[1][1:])

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or QLinearConv where saturation does what the activation would."""
        source, result = node.inputs[0], fused(node)
        assert source is not None
        name = node.outputs[0].name or ""
        conv = writer.plan.convs[name]
        if conv.unrounded:
            float_logits.onnx(writer, node, conv)
            return
        weight = writer.constant(f"{name}_weight", conv.weight)
        scales = writer.constant(f"{name}_weight_scale", conv.scales)
        zeros = writer.constant(f"{name}_weight_zero_point", np.zeros(len(conv.scales), np.int8))
        bias = writer.constant(f"{name}_bias", conv.bias)
        attributes: dict[str, Any] = {
            "kernel_shape": list(conv.weight.shape[2:]),
            "strides": list(g.ints(node, "strides", (1, 1))),
            "pads": list(g.ints(node, "pads", (0, 0, 0, 0))),
            "group": g.integer(node, "group", 1),
        }
        dilations = g.ints(node, "dilations", (1, 1))
        if dilations != (1, 1):
            attributes["dilations"] = list(dilations)
        params = writer.plan.activations[result.output.name or ""]
        implied = clamp_is_implied(result.activation, params)
        if writer.style == "qoperator" and implied:
            inputs = [writer.steps(source), *writer.params(source), weight, scales, zeros]
            inputs += [*writer.params(result.output), bias]
            writer.add("QLinearConv", inputs, writer.name(result.output), **attributes)
            return
        bias_scales = writer.constant(f"{name}_bias_scale", conv.bias_scales)
        real_weight = writer.add(
            "DequantizeLinear", [weight, scales, zeros], f"{name}_weight_real", axis=0
        )
        real_bias = writer.add("DequantizeLinear", [bias, bias_scales], f"{name}_bias_real", axis=0)
        inputs = [writer.dequantized(source, node), real_weight, real_bias]
        real = writer.add("Conv", inputs, f"{name}_real", **attributes)
        if not implied:
            real = writer.activate(result.activation, real, f"{real}_{result.activation}")
        writer.quantize(real, result.output)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """CONV_2D or DEPTHWISE_CONV_2D."""
        unrounded = writer.unrounded(node)
        if unrounded is not None:
            float_logits.tflite(writer, node, unrounded)
            return
        result = fused(node)
        weight = g.constant(node.inputs[1])
        assert weight is not None
        groups = g.integer(node, "group", 1)
        depthwise = groups > 1 and weight.shape[1] == 1
        # Conv2D weights are (O, kH, kW, I); depthwise ones (1, kH, kW, O).
        axes, channel_axis = ((1, 2, 3, 0), 3) if depthwise else ((0, 2, 3, 1), 0)
        name = node.outputs[0].name or ""
        if writer.plan is None:
            bias = argument(node, 2)
            offset = np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32)
            weight_index = writer.buffer.constant(f"{name}_weight", weight.transpose(axes))
            bias_index = writer.buffer.constant(f"{name}_bias", offset)
        else:
            conv = writer.plan.convs[name]
            weight_index = writer.buffer.constant(
                f"{name}_weight", conv.weight.transpose(axes), conv.scales, channel_axis
            )
            bias_index = writer.buffer.constant(f"{name}_bias", conv.bias, conv.bias_scales)
        dilations = g.ints(node, "dilations", (1, 1))
        source, padding = writer.window(node, reach(weight.shape[2:], dilations))
        down, across = g.ints(node, "strides", (1, 1))
        writer.operator(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
            [source, weight_index, bias_index],
            [writer.value(result.output)],
            "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
            **({"depthMultiplier": len(weight) // groups} if depthwise else {}),
            padding=padding,
            strideH=down,
            strideW=across,
            dilationHFactor=dilations[0],
            dilationWFactor=dilations[1],
            fusedActivationFunction=writer.activation(result.activation),
            version=writer.version(3),
        )


def names_of(node: ir.Node) -> tuple[str, ...]:
    """What a Conv can be called: its torch module's path, where its weight has one, and its output.

    Passes append to a weight's name what they did to it.
    """
    weight, output = node.inputs[1], node.outputs[0].name or ""
    path, parameter, _ = ((weight and weight.name) or "").partition(".weight")
    return (path, output) if path and parameter else (output,)


def kind_of(node: ir.Node) -> Kind:
    """What kind of convolution a Conv is."""
    if g.is_depthwise(node):
        return "depthwise"
    weight = g.constant(node.inputs[1])
    assert weight is not None
    return "pointwise" if weight.shape[2:] == (1, 1) else "dense"


def reach(kernel: Sequence[int], dilations: Sequence[int]) -> tuple[int, ...]:
    """Height and width of the pixels that a dilated kernel covers."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))


def convolve(
    node: ir.Node, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """A Conv with its own strides, pads and groups, but these weights."""
    import torch.nn.functional as F

    top, left, bottom, right = g.ints(node, "pads", (0, 0, 0, 0))
    if (top, left) == (bottom, right):
        padding = (top, left)
    else:
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    strides, dilations = g.ints(node, "strides", (1, 1)), g.ints(node, "dilations", (1, 1))
    groups = g.integer(node, "group", 1)
    return F.conv2d(x, weight, bias, strides, padding, dilations, groups)


OPERATOR: Final = Conv()
