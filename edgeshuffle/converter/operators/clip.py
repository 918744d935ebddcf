"""Clip: ReLU6, or numbers between any limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Activation, Channels
from edgeshuffle.converter.operators.relu import Relu

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class Clip(Relu):
    """min(max(x, low), high)."""

    homogeneous = False
    never_negative = False
    activation: Activation = "relu6"

    def check(self, node: ir.Node) -> str | None:
        """Between two numbers."""
        return None if limits(node) is not None else "has limits that are not two constant numbers"

    def role(self, node: ir.Node) -> Channels:
        """Limits of one number are the same for every channel."""
        return Channels.CHANNELWISE if limits(node) is not None else Channels.FIXED

    def activation_of(self, node: ir.Node) -> Activation:
        """ReLU6, or none that a runtime computes inside another operator."""
        return "relu6" if limits(node) == (0, 6) else "none"

    def is_never_negative(self, node: ir.Node) -> bool:
        """As the lower limit is."""
        found = limits(node)
        return found is not None and found[0] >= 0

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Between the limits."""
        low, high = _known(node)
        return [inputs[0].clamp(low, high)]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """A Clip of integers."""
        writer.clamp(node, *_known(node))

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """RELU6, or MAXIMUM and MINIMUM."""
        if self.activation_of(node) == "relu6":
            super().tflite(writer, node)
            return
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        read, made = writer.alike(source, result, moved=True)
        params, bounds = writer.parameters(result), _known(node)
        kinds = [
            (kind, limit)
            for kind, limit in zip(("MAXIMUM", "MINIMUM"), bounds, strict=True)
            if math.isfinite(limit)
        ]
        for number, (kind, limit) in enumerate(kinds, 1):
            last = number == len(kinds)
            name = f"{result.name}_{kind.lower()}"
            index = made if last else writer.inner(name, writer.shape(read), params)
            bound = writer.like_constant(f"{name}_limit", np.array([limit], np.float32), params)
            writer.operator(
                kind, [read, bound], [index], "MaximumMinimumOptions", version=writer.version(2)
            )
            read = index


def limits(node: ir.Node) -> tuple[float, float] | None:
    """Both limits, infinite where there is none; None unless they are constant numbers."""
    found = [-math.inf, math.inf]
    for place, value in enumerate(node.inputs[1:]):
        array = g.constant(value)
        if value is not None and (array is None or array.size != 1 or np.isnan(array).any()):
            return None
        if array is not None:
            found[place] = float(array.reshape(-1)[0])
    low, high = found
    return (low, high) if low <= high and (math.isfinite(low) or math.isfinite(high)) else None


def _known(node: ir.Node) -> tuple[float, float]:
    found = limits(node)
    assert found is not None
    return found


OPERATOR: Final = Clip()
