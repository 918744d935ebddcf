"""Split: all of a value in parts. TFLite gets a SLICE a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import AlongAxis, axis_of, by_image
from edgeshuffle.converter.operators.slice import cut

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Split(AlongAxis):
    """Cut along one axis."""

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Cut along the node's axis into the outputs' sizes."""
        axis = axis_of(node, elements[0].ndim)
        sizes = [g.shape_of(value)[axis] for value in node.outputs]
        return list(np.split(elements[0], np.cumsum(sizes)[:-1], axis))

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Cut along the axis of every image."""
        import torch

        source = node.inputs[0]
        assert source is not None
        images = by_image(inputs[0], source)
        axis = axis_of(node, images.ndim - 1)
        sizes = [g.shape_of(value)[axis] for value in node.outputs]
        return [part.flatten(0, 1) for part in torch.split(images, sizes, axis + 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """A SLICE for every part that is read."""
        source = node.inputs[0]
        assert source is not None
        rank = len(g.shape_of(source))
        axis, start = axis_of(node, rank), 0
        for part in node.outputs:
            if part.uses() or part.is_graph_output():
                cut(writer, source, [start if i == axis else 0 for i in range(rank)], part)
            start += g.shape_of(part)[axis]


OPERATOR: Final = Split()
