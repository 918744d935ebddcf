"""Reshape: other axes over the same elements in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir


class Reshape(Operator):
    """Any operator that only gives its input another shape."""

    channels = Channels.MOVES

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """In the output's shape."""
        return [elements[0].reshape(g.shape_of(node.outputs[0]))]


OPERATOR: Final = Reshape()
