"""LeakyRelu: a slope for what is below 0. No runtime computes it inside a convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter

# ONNX's default of `alpha`.
_SLOPE: Final = 0.01


class LeakyRelu(Operator):
    """x where it is positive, alpha x elsewhere."""

    channels = Channels.CHANNELWISE
    scale = Scale.OWN
    homogeneous = True

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Every element alone."""
        import torch.nn.functional as F

        return [F.leaky_relu(inputs[0], _slope(node))]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """LEAKY_RELU."""
        source = node.inputs[0]
        assert source is not None
        read, made = writer.alike(source, node.outputs[0])
        writer.operator("LEAKY_RELU", [read], [made], "LeakyReluOptions", alpha=_slope(node))


def _slope(node: ir.Node) -> float:
    alpha = node.attributes.get("alpha")
    return _SLOPE if alpha is None else alpha.as_float()


OPERATOR: Final = LeakyRelu()
