"""What operators that only move elements have in common, and where images are in their values.

A value of one image has a static shape (A, ...). Of n images it has n A rows, one image's after
another's, whatever its first axis means.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale, shapes

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    import torch

_MOST_AXES = 4


class Move(Operator):
    """Moves elements, of which integers are as good as reals."""

    channels = Channels.MOVES
    scale = Scale.TIED
    copies = True

    def check(self, node: ir.Node) -> str | None:
        """Constant parameters."""
        if node.op_type != "Concat" and len(g.data_inputs(node)) > 1:
            return "moves elements to where only the run tells"
        return None


class AlongAxis(Move):
    """Moves whole slices along the axes of values that TFLite's kernels and delegates take."""

    def check(self, node: ir.Node) -> str | None:
        """Of four axes at most."""
        if len(g.shape_of(node.outputs[0])) > _MOST_AXES:
            return f"has a value of more than {_MOST_AXES} axes ({shapes(node)})"
        return super().check(node)


def by_image(x: torch.Tensor, value: ir.Value) -> torch.Tensor:
    """The rows of n images of a value as (n, A, ...)."""
    shape = g.shape_of(value)
    return x.reshape(x.numel() // math.prod(shape), *shape)


def axis_of(node: ir.Node, rank: int) -> int:
    """The node's axis, from 0 on."""
    return g.integer(node, "axis", 0) % rank


def argument(node: ir.Node, position: int) -> np.ndarray | None:
    """A constant input, or None where there is none."""
    return g.constant(node.inputs[position]) if len(node.inputs) > position else None
