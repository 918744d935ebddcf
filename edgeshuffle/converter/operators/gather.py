"""Gather: slices by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import AlongAxis, argument, axis_of, by_image

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Gather(AlongAxis):
    """Of channels, mostly."""

    def check(self, node: ir.Node) -> str | None:
        """By a constant row of numbers."""
        indices = argument(node, 1)
        if indices is None or indices.ndim != 1:
            return "picks by what is no constant row of numbers"
        return super().check(node)

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Picked along the node's axis."""
        indices = argument(node, 1)
        assert indices is not None
        return [np.take(elements[0], indices, axis_of(node, elements[0].ndim))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Picked along the axis of every image."""
        import torch

        source, indices = node.inputs[0], argument(node, 1)
        assert source is not None
        assert indices is not None
        images = by_image(inputs[0], source)
        axis = 1 + axis_of(node, images.ndim - 1)
        picked = torch.from_numpy(indices % images.shape[axis])
        return [images.index_select(axis, picked).flatten(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """A shuffle as RESHAPE and TRANSPOSE, which XNNPACK takes; else GATHER."""
        if writer.shuffle(node):
            return
        source, indices = node.inputs[0], argument(node, 1)
        assert source is not None
        assert indices is not None
        shape = g.shape_of(source)
        axis = axis_of(node, len(shape))
        picked = writer.ints(f"{node.outputs[0].name}_indices", *(indices % shape[axis]).tolist())
        writer.operator(
            "GATHER",
            [writer.read(source, node.outputs[0]), picked],
            [writer.value(node.outputs[0])],
            "GatherOptions",
            axis=writer.order(source).index(axis),
            version=writer.version(2),
        )


OPERATOR: Final = Gather()
