"""Transpose: a part of most channel shuffles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir


class Transpose(Operator):
    """Axes in another order."""

    channels = Channels.MOVES

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """With the axes permuted; without `perm`, reversed."""
        rank = elements[0].ndim
        return [elements[0].transpose(g.ints(node, "perm", range(rank)[::-1]))]


OPERATOR: Final = Transpose()
