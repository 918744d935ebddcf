"""Transpose: a part of most channel shuffles, and of detectors' tails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import Move, by_image

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Transpose(Move):
    """Axes in another order."""

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """With the axes permuted; without `perm`, reversed."""
        return [elements[0].transpose(_perm(node, elements[0].ndim))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """With the axes of every image permuted."""
        source = node.inputs[0]
        assert source is not None
        images = by_image(inputs[0], source)
        perm = [axis + 1 for axis in _perm(node, images.ndim - 1)]
        return [images.permute(0, *perm).flatten(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """TRANSPOSE where the output is read, together with what else moves its elements."""
        writer.move(node)


def _perm(node: ir.Node, rank: int) -> tuple[int, ...]:
    return g.ints(node, "perm", range(rank)[::-1])


OPERATOR: Final = Transpose()
