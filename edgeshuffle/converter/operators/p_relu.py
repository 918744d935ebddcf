"""PRelu: a slope a channel for what is below 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class PRelu(Operator):
    """Slopes of (C, 1, 1), or one."""

    channels = Channels.CHANNELWISE
    scale = Scale.OWN
    homogeneous = True
    weights = (1,)

    def check(self, node: ir.Node) -> str | None:
        """Constant and finite slopes, one a channel."""
        slope, source = g.constant(node.inputs[1]), node.inputs[0]
        if slope is None or source is None or not np.isfinite(slope).all():
            return "has slopes that are no finite constants"
        shape = g.shape_of(source)
        whole = (1,) * (len(shape) - slope.ndim) + slope.shape
        if len(shape) != 4 or (slope.size > 1 and whole != (1, shape[1], 1, 1)):
            return f"has slopes of shape {slope.shape}, where one a channel is supported"
        return None

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Every element alone."""
        import torch

        slope = torch.from_numpy(np.array(g.constant(node.inputs[1]), np.float32))
        return [torch.where(inputs[0] < 0, inputs[0] * slope, inputs[0])]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """PRELU."""
        source, result = node.inputs[0], node.outputs[0]
        slope = g.constant(node.inputs[1])
        assert source is not None
        assert slope is not None
        channels = g.shape_of(source)[1]
        spread = np.broadcast_to(slope.reshape(-1, 1, 1), (channels, 1, 1))
        slopes = writer.constant(f"{result.name}_slopes", spread, 4)
        read, made = writer.read(source), writer.value(result)
        writer.operator("PRELU", [read, slopes], [made])


OPERATOR: Final = PRelu()
