"""Run a graph operator by operator in torch, as floats or on a plan's integers.

A quantized convolution is simulated with real numbers that stand for integers: products of
dequantized values, added up in float32 and rounded to the output's steps, which is what the
runtimes compute to within a step in rare ties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.quant.fused import activation_of, fused, is_fused
from edgeshuffle.converter.quant.plan import QMAX, QMIN, QParams

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_ir as ir

    from edgeshuffle.converter.quant.plan import QuantPlan

    Values = list[torch.Tensor]


def run_node(node: ir.Node, inputs: Values) -> Values:
    """The outputs of one operator of the core for its run-time inputs (N, C, H, W)."""
    return _RUN[node.op_type](node, inputs)


def conv(
    node: ir.Node, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """A Conv with its own strides, pads and groups, but these weights."""
    top, left, bottom, right = g.ints(node, "pads", (0, 0, 0, 0))
    if (top, left) == (bottom, right):
        padding = (top, left)
    else:
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    strides = g.ints(node, "strides", (1, 1))
    return F.conv2d(x, weight, bias, strides, padding, groups=g.integer(node, "group", 1))


def fake_quantize(x: torch.Tensor, params: QParams) -> torch.Tensor:
    """Real values of the steps that quantization rounds `x` to."""
    steps = torch.round(x / params.scale)
    low, high = QMIN - params.zero_point, QMAX - params.zero_point
    return steps.clamp_(low, high).mul_(params.scale)


def rounds(node: ir.Node, plan: QuantPlan) -> bool:
    """Whether an operator gives new numbers, not just the integers that it reads."""
    if node.op_type in ("Conv", "GlobalAveragePool"):
        return True
    result = plan.activations[node.outputs[0].name or ""]
    return any(plan.activations[v.name or ""] != result for _, v in g.data_inputs(node))


def activate(x: torch.Tensor, activation: str) -> torch.Tensor:
    """`relu`, `relu6` or `none`."""
    if activation == "relu":
        return x.clamp(min=0)
    return x.clamp(0, 6) if activation == "relu6" else x


def quantized_output(model: ir.Model, plan: QuantPlan, images: torch.Tensor) -> torch.Tensor:
    """The graph's output for (N, C, H, W) images, as the plan's integers give it."""
    graph = model.graph
    given = graph.inputs[0]
    values = {given: fake_quantize(images, plan.activations[given.name or ""])}
    with torch.inference_mode():
        for node in graph:
            if is_fused(node):
                continue
            inputs = [values[value] for _, value in g.data_inputs(node)]
            if node.op_type == "Conv":
                result, layer = fused(node), plan.convs[node.outputs[0].name or ""]
                weight = torch.from_numpy(layer.weight * layer.scales[:, None, None, None])
                bias = torch.from_numpy((layer.bias * layer.bias_scales).astype(np.float32))
                output = activate(conv(node, inputs[0], weight, bias), result.activation)
                made = {result.output: output}
            else:
                made = dict(zip(node.outputs, run_node(node, inputs), strict=True))
            if rounds(node, plan):
                made = {
                    v: fake_quantize(x, plan.activations[v.name or ""]) for v, x in made.items()
                }
            values.update(made)
    return values[graph.outputs[0]]


def _conv(node: ir.Node, inputs: Values) -> Values:
    weight = g.constant(node.inputs[1])
    assert weight is not None
    bias = g.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    offset = None if bias is None else torch.from_numpy(np.array(bias, np.float32))
    return [conv(node, inputs[0], torch.from_numpy(np.array(weight, np.float32)), offset)]


def _max_pool(node: ir.Node, inputs: Values) -> Values:
    top, left, bottom, right = g.ints(node, "pads", (0, 0, 0, 0))
    padded = F.pad(inputs[0], (left, right, top, bottom), value=-torch.inf)
    kernel = g.ints(node, "kernel_shape", ())
    return [F.max_pool2d(padded, kernel, g.ints(node, "strides", (1, 1)))]


def _mean(_: ir.Node, inputs: Values) -> Values:
    return [inputs[0].mean((2, 3), keepdim=True)]


def _activation(node: ir.Node, inputs: Values) -> Values:
    return [activate(inputs[0], activation_of(node))]


def _concat(_: ir.Node, inputs: Values) -> Values:
    return [torch.cat(inputs, 1)]


def _split(node: ir.Node, inputs: Values) -> Values:
    return list(torch.split(inputs[0], [g.shape_of(value)[1] for value in node.outputs], 1))


def _slice(node: ir.Node, inputs: Values) -> Values:
    starts, ends = (g.constant(value) for value in node.inputs[1:3])
    assert starts is not None
    assert ends is not None
    return [inputs[0][:, slice(int(starts[0]), int(ends[0]))]]


def _gather(node: ir.Node, inputs: Values) -> Values:
    indices = g.constant(node.inputs[1])
    assert indices is not None
    return [inputs[0][:, torch.from_numpy(indices % inputs[0].shape[1])]]


def _flatten(_: ir.Node, inputs: Values) -> Values:
    return [inputs[0].flatten(1)]


_RUN: dict[str, Callable[[ir.Node, Values], Values]] = {
    "Clip": _activation,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _flatten,
    "Gather": _gather,
    "GlobalAveragePool": _mean,
    "MaxPool": _max_pool,
    "Relu": _activation,
    "Slice": _slice,
    "Split": _split,
}
