"""Which values of a mixed plan are floats.

A convolution that the plan has no integers for computes floats. So do the operators that take
nothing but floats to where floats are read; elsewhere the floats are quantized. The input is always
quantized, as the models of both formats take it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, operator_of
from edgeshuffle.converter.operators.fused import fused, is_fused, results

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan


def conv_names(graph: ir.Graph) -> tuple[str, ...]:
    """All convolutions, by the names that plans have for them, in order."""
    return tuple(node.outputs[0].name or "" for node in graph if node.op_type == "Conv")


def float_values(graph: ir.Graph, plan: QuantPlan) -> frozenset[ir.Value]:
    """The values that are computed as floats under the plan."""
    nodes = [node for node in graph if not is_fused(node)]
    possible: set[ir.Value] = set()
    for node in nodes:
        if node.op_type == "Conv":
            floats = (node.outputs[0].name or "") not in plan.convs
        else:
            floats = all(value in possible for _, value in g.data_inputs(node))
        if floats:
            possible.update(results(node))
    found: set[ir.Value] = set()
    asked = set(graph.outputs)
    for node in reversed(nodes):
        if fused(node).output not in possible:
            continue
        # What computes is finer with floats than with integers; what only moves waits to be asked.
        if operator_of(node).scale is Scale.OWN or asked & {*node.outputs}:
            found.update(results(node))
            asked.update(value for _, value in g.data_inputs(node))
    return frozenset(found)
