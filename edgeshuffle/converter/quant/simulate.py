"""Run a graph operator by operator in torch, as floats or on a plan's integers.

A quantized convolution is simulated with real numbers that stand for integers: products of
dequantized values, added up in float32 and rounded to the output's steps, which is what the
runtimes compute to within a step in rare ties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, is_conv, operator_of
from edgeshuffle.converter.operators.conv import convolve
from edgeshuffle.converter.operators.fused import fused, is_fused, results
from edgeshuffle.converter.operators.relu import activate
from edgeshuffle.converter.plan import QMAX, QMIN, QParams
from edgeshuffle.converter.precision import float_values

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan

    Values = list[torch.Tensor]


def fake_quantize(x: torch.Tensor, params: QParams) -> torch.Tensor:
    """Real values of the steps that quantization rounds `x` to."""
    steps = torch.round(x / params.scale)
    low, high = QMIN - params.zero_point, QMAX - params.zero_point
    return steps.clamp_(low, high).mul_(params.scale)


def rounds(node: ir.Node, plan: QuantPlan) -> bool:
    """Whether an operator gives new numbers, not just the integers that it reads."""
    operator = operator_of(node)
    if operator.scale is not Scale.TIED or operator.between:
        return True
    result = plan.activations[node.outputs[0].name or ""]
    return any(plan.activations[v.name or ""] != result for _, v in g.data_inputs(node))


def quantized_outputs(model: ir.Model, plan: QuantPlan, images: torch.Tensor) -> Values:
    """The graph's outputs for (N, C, H, W) images, as the plan's integers give them."""
    graph = model.graph
    given = graph.inputs[0]
    values = {given: fake_quantize(images, plan.activations[given.name or ""])}
    floats = float_values(graph, plan)
    with torch.inference_mode():
        for node in graph:
            if is_fused(node):
                continue
            inputs = [values[value] for _, value in g.data_inputs(node)]
            if is_conv(node):
                result, layer = fused(node), plan.convs[node.outputs[0].name or ""]
                weight = torch.from_numpy(layer.weight * layer.scales[:, None, None, None])
                bias = torch.from_numpy((layer.bias * layer.bias_scales).astype(np.float32))
                output = activate(convolve(node, inputs[0], weight, bias), result.activation)
                made = {result.output: output}
            else:
                made = dict(zip(results(node), operator_of(node).run(node, inputs), strict=True))
            if rounds(node, plan) and not floats.issuperset(made):
                made = {
                    v: fake_quantize(x, plan.activations[v.name or ""]) for v, x in made.items()
                }
            values.update(made)
    return [values[value] for value in graph.outputs]
