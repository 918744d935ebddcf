"""Compute a Relu before a concatenation, where a convolution does it along.

    max(concat(a, b), 0) = concat(max(a, 0), max(b, 0))        max(a, 0) = a for a that is never < 0

The stride-2 units of ShuffleNetV1 join a mean of what is not negative and a convolution. So one
Relu is nothing, the other is computed inside the convolution, and no value with negative numbers
shares its scale with the sum.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.operators.sign import is_non_negative
from edgeshuffle.converter.passes.outcome import Outcome

# Dissolving a shuffle may join what a Relu reads, or show that it is never negative.
LASTING = False


def run(model: ir.Model) -> Outcome:
    """Until every Relu is needed where it is."""
    count = 0
    while (node := next(filter(_is_late, model.graph), None)) is not None:
        source = node.inputs[0]
        assert source is not None
        result = source if is_non_negative(source) else _joined(model.graph, node)
        g.replace(node, result)
        count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """No Relu reads a concatenation of its own, or what is never negative."""
    late = next(filter(_is_late, model.graph), None)
    return None if late is None else f"{where(late)} could be computed before"


def _is_late(node: ir.Node) -> bool:
    source = node.inputs[0] if node.op_type == "Relu" else None
    if source is None:
        return False
    made = source.producer()
    if made is None or (node.outputs[0].is_graph_output() and source.is_graph_output()):
        return False
    return is_non_negative(source) or (made.op_type == "Concat" and g.sole_consumer(source) is node)


def _joined(graph: ir.Graph, node: ir.Node) -> ir.Value:
    """The concatenation anew, of parts with a Relu each."""
    source = node.inputs[0]
    concat = None if source is None else source.producer()
    assert concat is not None
    made: dict[ir.Value, ir.Value] = {}
    for part in concat.inputs:
        assert part is not None
        if part not in made:
            made[part] = g.new_value(f"{part.name}_relu", g.shape_of(part), graph)
            name = f"{node.name or node.outputs[0].name}_{len(made)}"
            graph.insert_before(node, ir.Node("", "Relu", [part], outputs=[made[part]], name=name))
    result = g.new_value(f"{node.outputs[0].name}_joined", g.shape_of(node.outputs[0]), graph)
    inputs = [made[part] for part in concat.inputs if part is not None]
    axis = ir.AttrInt64("axis", g.integer(concat, "axis", 0))
    graph.insert_before(
        node, ir.Node("", "Concat", inputs, [axis], outputs=[result], name=concat.name)
    )
    return result
