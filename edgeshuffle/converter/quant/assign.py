"""Ranges to scales and zero points, weights to integers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import is_conv, operator_of
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.plan import QMAX, QConv, QParams, QuantPlan, params_of_range
from edgeshuffle.converter.precision import classifiers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.quant.ties import Group

# Runtimes refuse smaller multipliers (XNNPACK: 2^-32). An accumulator of 2^24, more than any layer
# here reaches, is still under a step at this one.
_MIN_MULTIPLIER: Final = 2.0**-30
_MAX_BIAS: Final = 2.0**30


def quantize_conv(
    weight: np.ndarray,
    bias: np.ndarray,
    source: QParams,
    result: QParams,
    *,
    per_tensor: bool = False,
) -> QConv:
    """Round a convolution's (O, I, kH, kW) weights and (O,) bias to integers, per output channel.

    With `per_tensor`, all channels get the largest scale.

    Channels with (almost) no weight get the smallest scale that their bias and the runtimes'
    multipliers allow.
    """
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).astype(np.float64)
    floor = np.maximum(
        np.abs(bias) / (source.scale * _MAX_BIAS),
        _MIN_MULTIPLIER * result.scale / source.scale,
    )
    scales = np.maximum(largest / QMAX, floor).astype(np.float32)
    if per_tensor:
        scales[:] = scales.max()
    spread = scales.reshape(-1, 1, 1, 1)
    steps = np.clip(np.rint(weight.astype(np.float32) / spread), -QMAX, QMAX).astype(np.int8)
    bias_scales = (scales * np.float32(source.scale)).astype(np.float32)
    offsets = np.rint(bias / bias_scales.astype(np.float64)).astype(np.int32)
    return QConv(steps, scales, offsets, bias_scales)


def assign(
    graph: ir.Graph,
    groups: Sequence[Group],
    ranges: Sequence[tuple[float, float]],
    shares_scale: Callable[[ir.Node], bool] = lambda _: False,
    *,
    float_logits: bool = False,
) -> QuantPlan:
    """The plan for a graph from one real range a group.

    `shares_scale` tells of which convolutions the output channels have one weight scale. With
    `float_logits`, classifiers give their sums as floats.
    """
    activations = {
        value.name or "": group.given or params_of_range(low, high)
        for group, (low, high) in zip(groups, ranges, strict=True)
        for value in group.members
    }
    _fit(graph, groups, activations)
    convs = {}
    unrounded = classifiers(graph) if float_logits else ()
    for node in graph:
        if not is_conv(node):
            continue
        weight = g.constant(node.inputs[1])
        source = node.inputs[0]
        assert weight is not None
        assert source is not None
        bias = argument(node, 2)
        made = quantize_conv(
            weight,
            np.zeros(len(weight)) if bias is None else bias.astype(np.float64),
            activations[source.name or ""],
            activations[fused(node).output.name or ""],
            per_tensor=shares_scale(node),
        )
        convs[node.outputs[0].name or ""] = replace(made, unrounded=node in unrounded)
    return QuantPlan(activations, convs)


def _fit(graph: ir.Graph, groups: Sequence[Group], activations: dict[str, QParams]) -> None:
    """Move scales to near ones where that is what makes both formats compute the same."""
    members = {
        value.name: [member.name or "" for member in group.members]
        for group in groups
        if group.given is None
        for value in group.members
    }
    settled: set[str] = set()
    for node in graph:
        source, result = node.inputs[0], node.outputs[0].name or ""
        if source is None or source.name not in members or result not in activations:
            continue
        given = activations[source.name or ""]
        found = operator_of(node).fit(node, given, activations[result])
        alike = members[source.name]
        if found != given and result not in alike and settled.isdisjoint(alike):
            activations.update(dict.fromkeys(alike, found))
            settled.update([*alike, *members.get(result, ())])
