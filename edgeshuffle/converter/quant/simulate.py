"""Run a graph operator by operator in torch, as floats or on a plan's integers.

A quantized convolution is simulated with real numbers that stand for integers: products of
dequantized values, added up in float32 and rounded to the output's steps, which is what the
runtimes compute to within a step in rare ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
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
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan

    Values = list[torch.Tensor]


def fake_quantize(
    x: torch.Tensor, params: QParams, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Real values of the steps that quantization rounds `x` to; `out` may be `x`."""
    steps = torch.div(x, params.scale, out=out).round_()
    low, high = QMIN - params.zero_point, QMAX - params.zero_point
    return steps.clamp_(low, high).mul_(params.scale)


def rounds(node: ir.Node, plan: QuantPlan) -> bool:
    """Whether an operator gives new numbers, not just the integers that it reads."""
    operator = operator_of(node)
    if operator.scale is not Scale.TIED or operator.between:
        return True
    result = plan.activations[node.outputs[0].name or ""]
    return any(plan.activations[v.name or ""] != result for _, v in g.data_inputs(node))


class Simulation:
    """A graph on a plan's integers. Several threads may call it."""

    def __init__(self, model: ir.Model, plan: QuantPlan) -> None:
        graph = model.graph
        floats = float_values(graph, plan)
        self._given, self._outputs = graph.inputs[0], list(graph.outputs)
        self._entry = plan.activations[self._given.name or ""]
        self._steps = [_step(node, plan, floats) for node in graph if not is_fused(node)]

    def __call__(self, images: torch.Tensor) -> Values:
        """The graph's outputs for (N, C, H, W) images, as the plan's integers give them."""
        values = {self._given: fake_quantize(images, self._entry)}
        with torch.inference_mode():
            for step in self._steps:
                made = step.run([values[value] for value in step.read])
                for value, params, output in zip(step.made, step.params, made, strict=True):
                    values[value] = output if params is None else fake_quantize(output, params)
        return [values[value] for value in self._outputs]


@dataclass(frozen=True, eq=False)
class _Step:
    """An operator, what it reads and makes, and what each of that is rounded to."""

    run: Callable[[Values], Values]
    read: list[ir.Value]
    made: Sequence[ir.Value]
    params: list[QParams | None]


def _step(node: ir.Node, plan: QuantPlan, floats: frozenset[ir.Value]) -> _Step:
    made = results(node)
    rounded = rounds(node, plan) and not floats.issuperset(made)
    return _Step(
        _conv(node, plan) if is_conv(node) else partial(operator_of(node).run, node),
        [value for _, value in g.data_inputs(node)],
        made,
        [plan.activations[value.name or ""] if rounded else None for value in made],
    )


def _conv(node: ir.Node, plan: QuantPlan) -> Callable[[Values], Values]:
    layer, activation = plan.convs[node.outputs[0].name or ""], fused(node).activation
    weight = torch.from_numpy(layer.weight * layer.scales[:, None, None, None])
    bias = torch.from_numpy((layer.bias * layer.bias_scales).astype(np.float32))
    return lambda read: [activate(convolve(node, read[0], weight, bias), activation)]


def quantized_outputs(model: ir.Model, plan: QuantPlan, images: torch.Tensor) -> Values:
    """The graph's outputs for (N, C, H, W) images, as the plan's integers give them."""
    return Simulation(model, plan)(images)
