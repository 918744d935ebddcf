"""HardSwish: x min(max(x + 3, 0), 6) / 6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class HardSwish(Operator):
    """Every element alone."""

    channels = Channels.CHANNELWISE
    scale = Scale.OWN

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """In float."""
        import torch.nn.functional as F

        return [F.hardswish(inputs[0])]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """HARD_SWISH."""
        source = node.inputs[0]
        assert source is not None
        read, made = writer.alike(source, node.outputs[0])
        writer.operator("HARD_SWISH", [read], [made])


OPERATOR: Final = HardSwish()
