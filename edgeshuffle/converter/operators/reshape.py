"""Reshape: other axes over the same elements in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import Move, by_image

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Reshape(Move):
    """Any operator that only gives its input another shape."""

    copies = False

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """In the output's shape."""
        return [elements[0].reshape(g.shape_of(node.outputs[0]))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """In the output's shape, for every image."""
        (source, *_), shape = node.inputs, g.shape_of(node.outputs[0])
        assert source is not None
        images = len(by_image(inputs[0], source))
        return [inputs[0].reshape(images * shape[0], *shape[1:])]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """RESHAPE where the output is read, together with what else moves its elements."""
        writer.move(node)


OPERATOR: Final = Reshape()
