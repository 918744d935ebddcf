"""LeakyRelu: a slope for what is below 0. No runtime computes it inside a convolution.

XNNPACK multiplies an integer by a factor of 1/256s, one for each side of 0, and rounds halves up.
So the input's scale is chosen to make the factor of the positive side one, and both formats get
the slope that the other factor means. The last digits see to it that halves are rounded up in
ONNX Runtime, too, which rounds them to even.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer
    from edgeshuffle.converter.plan import QParams

# ONNX's default of `alpha`.
_SLOPE: Final = 0.01
_PARTS: Final = 256
_LITTLE: Final = 1e-6


class LeakyRelu(Operator):
    """x where it is positive, alpha x elsewhere."""

    channels = Channels.CHANNELWISE
    scale = Scale.OWN
    homogeneous = True

    def fit(self, node: ir.Node, source: QParams, result: QParams) -> QParams:  # noqa: ARG002
        """No smaller, so that nothing more is clipped."""
        parts = np.ceil(_PARTS * source.scale / result.scale - 2 * _LITTLE)
        scale = np.float32(result.scale * parts / _PARTS * (1 + _LITTLE))
        return dataclasses.replace(source, scale=float(scale))

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Every element alone."""
        import torch.nn.functional as F

        return [F.leaky_relu(inputs[0], _slope(node))]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """QDQ, or com.microsoft.QLinearLeakyRelu."""
        (source, *_), result = node.inputs, node.outputs[0]
        assert source is not None
        params = [writer.plan.activations[value.name or ""] for value in (source, result)]
        alpha = _in_parts(_slope(node), *params) * (1 - 2 * _LITTLE)
        if writer.style == "qoperator":
            writer.qlinear(node, "QLinearLeakyRelu", scalar=True, alpha=alpha)
            return
        real = writer.dequantized(source, node, scalar=True)
        real = writer.add("LeakyRelu", [real], f"{result.name}_real", alpha=alpha)
        writer.quantize(real, result, scalar=True)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """LEAKY_RELU."""
        source, result, alpha = node.inputs[0], node.outputs[0], _slope(node)
        assert source is not None
        given, made = writer.parameters(source), writer.parameters(result)
        if given is not None and made is not None:
            alpha = _in_parts(alpha, given, made)
        read, index = writer.alike(source, result)
        writer.operator("LEAKY_RELU", [read], [index], "LeakyReluOptions", alpha=alpha)


def _slope(node: ir.Node) -> float:
    alpha = node.attributes.get("alpha")
    return _SLOPE if alpha is None else alpha.as_float()


def _in_parts(alpha: float, source: QParams, result: QParams) -> float:
    """The slope that XNNPACK's factor for it means."""
    ratio = _PARTS * source.scale / result.scale
    return float(np.rint(alpha * ratio) / ratio)


OPERATOR: Final = LeakyRelu()
