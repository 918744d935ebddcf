"""Write a 1x1 convolution with a permutation matrix as the Gather that it is.

Some exporters spell a channel shuffle so, for runtimes that multiply matrices faster than they move
memory. Where every row of the weights has a single 1 and no bias is added, output channel c is
input channel `columns[c]`:

    (W x)_c = sum_k W_ck x_k = x_columns[c]
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome


def run(model: ir.Model) -> Outcome:
    """Rewrite every convolution that only moves channels."""
    count = 0
    for node in list(model.graph):
        columns = _columns(node)
        if columns is None:
            continue
        old, source = node.outputs[0], node.inputs[0]
        made = g.new_value(f"{old.name}_moved", g.shape_of(old), model.graph)
        indices = g.new_constant(model.graph, f"{old.name}_columns", columns)
        gather = ir.Node(
            "",
            "Gather",
            [source, indices],
            [ir.AttrInt64("axis", 1)],
            outputs=[made],
            name=node.name,
        )
        model.graph.insert_before(node, [gather])
        g.replace(node, made)
        count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """No convolution only moves channels."""
    for node in model.graph:
        if _columns(node) is not None:
            return f"{where(node)} only moves channels"
    return None


def _columns(node: ir.Node) -> np.ndarray | None:
    """The input channel that each output channel of a Conv is; None if any is computed."""
    weight = g.constant(node.inputs[1]) if node.op_type == "Conv" else None
    if weight is None or weight.ndim != 4 or weight.shape[2:] != (1, 1):
        return None
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    offset = g.constant(bias)
    if bias is not None and (offset is None or offset.any()):
        return None
    if any(g.ints(node, "pads", ())) or any(step != 1 for step in g.ints(node, "strides", ())):
        return None
    rows = weight[:, :, 0, 0]
    if not ((rows != 0).sum(axis=1) == 1).all() or not (rows.max(axis=1) == 1).all():
        return None
    each = len(rows) // g.integer(node, "group", 1)
    columns: np.ndarray = rows.argmax(axis=1) + np.arange(len(rows)) // each * rows.shape[1]
    return columns.astype(np.int64)
