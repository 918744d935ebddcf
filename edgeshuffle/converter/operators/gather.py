"""Gather: of channels, once the passes are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.whole_channels import WholeChannels, argument, axis_of

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Gather(WholeChannels):
    """Channels by their numbers."""

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Picked along the node's axis."""
        indices = argument(node, 1)
        assert indices is not None
        return [np.take(elements[0], indices, axis_of(node, elements[0].ndim))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Picked along the channels."""
        import torch

        indices = argument(node, 1)
        assert indices is not None
        return [inputs[0][:, torch.from_numpy(indices % inputs[0].shape[1])]]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """GATHER along the channels."""
        source, indices = node.inputs[0], argument(node, 1)
        assert source is not None
        assert indices is not None
        channels = g.shape_of(source)[1]
        picked = writer.ints(f"{node.outputs[0].name}_indices", *(indices % channels).tolist())
        writer.operator(
            "GATHER",
            [writer.read(source, node.outputs[0]), picked],
            [writer.value(node.outputs[0])],
            "GatherOptions",
            axis=3,
            version=writer.version(2),
        )


OPERATOR: Final = Gather()
