"""Split: of channels, once the passes are done. TFLite gets a SLICE a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.slice import cut
from edgeshuffle.converter.operators.whole_channels import WholeChannels, axis_of

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Split(WholeChannels):
    """All of a value in parts."""

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Cut along the node's axis into the outputs' sizes."""
        axis = axis_of(node, elements[0].ndim)
        sizes = [g.shape_of(value)[axis] for value in node.outputs]
        return list(np.split(elements[0], np.cumsum(sizes)[:-1], axis))

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Cut along the channels."""
        import torch

        return list(torch.split(inputs[0], [g.shape_of(value)[1] for value in node.outputs], 1))

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """A SLICE for every part."""
        source = node.inputs[0]
        assert source is not None
        start = 0
        for part in node.outputs:
            cut(writer, source, start, part)
            start += g.shape_of(part)[1]


OPERATOR: Final = Split()
