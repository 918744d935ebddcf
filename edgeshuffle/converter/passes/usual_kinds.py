"""Write rarer operators as the usual ones that compute the same.

- The largest value of the whole picture, a ReduceMax over [2, 3] with or without the axes kept or
  a GlobalMaxPool, is a MaxPool of the input's size; a Flatten restores the rank where it was 2.
- A GatherND whose numbers are all of the first axis is a Gather. torch's exporter writes
  x[:, [2, 1, 0]] as one between a Transpose that brings the channels to the front and one that
  brings them back, which is a Gather of channels.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome


def run(model: ir.Model) -> Outcome:
    """Rewrite all of them."""
    count = 0
    for node in list(model.graph):
        if _is_global_max(node):
            _pool(model.graph, node)
        elif _is_row(node):
            _gather(model.graph, node)
        else:
            continue
        count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """None of them is left."""
    for node in model.graph:
        if _is_global_max(node) or _is_row(node):
            return f"{where(node)} has a more usual form"
    return None


def _is_global_max(node: ir.Node) -> bool:
    source = node.inputs[0] if node.inputs else None
    if node.op_type not in ("GlobalMaxPool", "ReduceMax") or source is None:
        return False
    if len(g.shape_of(source)) != 4 or not g.is_float(source):
        return False
    if node.op_type == "GlobalMaxPool":
        return True
    axes = g.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    return axes is not None and sorted(int(axis) % 4 for axis in axes) == [2, 3]


def _pool(graph: ir.Graph, node: ir.Node) -> None:
    source, old = node.inputs[0], node.outputs[0]
    assert source is not None
    n, c, *sides = g.shape_of(source)
    result = pooled = g.new_value(f"{old.name}_pool", (n, c, 1, 1), graph)
    sizes = [ir.AttrInt64s(name, sides) for name in ("kernel_shape", "strides")]
    made = [ir.Node("", "MaxPool", [source], sizes, outputs=[pooled], name=node.name)]
    if len(g.shape_of(old)) == 2:
        result = g.new_value(f"{old.name}_flat", (n, c), graph)
        made.append(ir.Node("", "Flatten", [pooled], outputs=[result]))
    graph.insert_before(node, made)
    g.replace(node, result)


def _is_row(node: ir.Node) -> bool:
    """Whether it is a GatherND by one number each."""
    if node.op_type != "GatherND" or g.integer(node, "batch_dims", 0):
        return False
    indices = g.constant(node.inputs[1])
    return indices is not None and indices.ndim == 2 and indices.shape[1] == 1


def _gather(graph: ir.Graph, node: ir.Node) -> None:
    indices = g.constant(node.inputs[1])
    assert indices is not None
    source, last, axis = node.inputs[0], node, 0
    assert source is not None
    before, after = source.producer(), g.sole_consumer(node.outputs[0])
    perms = [_perm(one) for one in (before, after)]
    if all(perms) and [perms[0][at] for at in perms[1]] == sorted(perms[0]):
        assert before is not None
        assert after is not None
        source, last, axis = before.inputs[0], after, perms[0][0]
    old = last.outputs[0]
    name = f"{old.name}_numbers"
    numbers = g.new_constant(graph, name, indices[:, 0].astype(np.int64))
    result = g.new_value(f"{old.name}_gather", g.shape_of(old), graph)
    along = [ir.AttrInt64("axis", axis)]
    made = ir.Node("", "Gather", [source, numbers], along, outputs=[result], name=node.name)
    graph.insert_before(last, made)
    g.replace(last, result)


def _perm(node: ir.Node | None) -> tuple[int, ...]:
    if node is None or node.op_type != "Transpose":
        return ()
    return g.ints(node, "perm", tuple(reversed(range(len(g.shape_of(node.outputs[0]))))))
