"""Constants of an operator in the order in which it takes and makes its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels
from edgeshuffle.converter.passes.dissolve_shuffle.roles import FOLLOWING

if TYPE_CHECKING:
    import onnx_ir as ir


def permute_rows(graph: ir.Graph, node: ir.Node, role: Channels, stored: np.ndarray) -> None:
    """Make the channel `stored[p]` of the node's output at place p.

    What an element-wise operator has a number a channel of goes along.
    """
    if not _moves(stored):
        return
    if node.op_type == "Conv":
        for slot in range(1, len(node.inputs)):
            array = g.constant(node.inputs[slot])
            if array is not None:
                _replace(graph, node, slot, array[stored], "rows")
    elif role in FOLLOWING:
        rank = len(g.shape_of(node.outputs[0]))
        for slot, value in enumerate(node.inputs):
            array = g.constant(value)
            if array is None or array.dtype != np.float32:
                continue
            axis = array.ndim - rank + 1
            if axis >= 0 and array.shape[axis] == len(stored) > 1:
                _replace(graph, node, slot, array.take(stored, axis), "channels")


def permute_columns(graph: ir.Graph, node: ir.Node, role: Channels, taken: np.ndarray) -> None:
    """Take the channel `taken[p]` of the node's input at place p; after its rows are permuted."""
    if not _moves(taken) or role not in (Channels.FREE, Channels.GROUPED):
        return
    weight = g.constant(node.inputs[1])
    assert weight is not None
    size = weight.shape[1]
    inside = taken.reshape(-1, size) % size
    if len(inside) == 1:
        columns = weight[:, taken]
    else:
        # The row that is made at a place reads the group of that place.
        each = np.repeat(inside, len(weight) // len(inside), axis=0)
        columns = np.take_along_axis(weight, each[:, :, None, None], 1)
    _replace(graph, node, 1, columns, "columns")


def _moves(order: np.ndarray) -> bool:
    return bool((np.diff(order) != 1).any())


def _replace(graph: ir.Graph, node: ir.Node, slot: int, array: np.ndarray, kind: str) -> None:
    old = node.inputs[slot]
    assert old is not None
    node.replace_input_with(slot, g.new_constant(graph, f"{old.name}_{kind}", array))
