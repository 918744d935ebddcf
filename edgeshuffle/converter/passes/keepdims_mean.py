"""Write the mean over height and width as one 4-D GlobalAveragePool.

Exporters write it as ReduceMean over [2, 3] with or without the axes kept, or as an AveragePool
of the input's size. XNNPACK's mean wants 4-D in and out, and a 4-D value stays a row of channels
for `dissolve_shuffle`; a Flatten restores the rank where it was 2.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome


def run(model: ir.Model) -> Outcome:
    """Rewrite every mean over the whole picture."""
    count = 0
    for node in list(model.graph):
        if not _is_global_mean(node):
            continue
        source = node.inputs[0]
        assert source is not None
        n, c, *_ = g.shape_of(source)
        old = node.outputs[0]
        pooled = g.new_value(f"{old.name}_pool", (n, c, 1, 1), model.graph)
        made = [ir.Node("", "GlobalAveragePool", [source], outputs=[pooled], name=node.name)]
        result = pooled
        if len(g.shape_of(old)) == 2:
            result = g.new_value(f"{old.name}_flat", (n, c), model.graph)
            made.append(ir.Node("", "Flatten", [pooled], outputs=[result]))
        model.graph.insert_before(node, made)
        g.replace(node, result)
        count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """Each mean over the whole picture is a GlobalAveragePool."""
    for node in model.graph:
        if _is_global_mean(node):
            return f"{where(node)} is a mean over the whole picture"
    return None


def _is_global_mean(node: ir.Node) -> bool:
    if node.op_type == "ReduceMean":
        axes = g.constant(node.inputs[1]) if len(node.inputs) > 1 else None
        source = node.inputs[0]
        if axes is None or source is None or len(g.shape_of(source)) != 4:
            return False
        return sorted(int(axis) % 4 for axis in axes) == [2, 3]
    if node.op_type != "AveragePool":
        return False
    source = node.inputs[0]
    assert source is not None
    return (
        g.ints(node, "kernel_shape", ()) == g.shape_of(source)[2:]
        and not any(g.ints(node, "pads", ()))
        and g.shape_of(node.outputs[0])[2:] == (1, 1)
    )
