"""Which values of a mixed plan are floats.

A convolution that the plan has no integers for computes floats. So do the operators that take
nothing but floats to where floats are read; elsewhere the floats are quantized. The input is always
quantized, as the models of both formats take it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.quant.fused import fused, is_fused

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.quant.plan import QuantPlan


def conv_names(graph: ir.Graph) -> tuple[str, ...]:
    """All convolutions, by the names that plans have for them, in order."""
    return tuple(node.outputs[0].name or "" for node in graph if node.op_type == "Conv")


def result_of(node: ir.Node) -> ir.Value:
    """The value that a runtime's operator for this node gives."""
    return fused(node).output if node.op_type == "Conv" else node.outputs[0]


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
            possible.update((result_of(node),) if node.op_type == "Conv" else node.outputs)
    found: set[ir.Value] = set()
    asked = set(graph.outputs)
    for node in reversed(nodes):
        if result_of(node) not in possible:
            continue
        # A mean of floats is finer than one of integers; what only moves them waits to be asked.
        if node.op_type in ("Conv", "GlobalAveragePool") or asked & {*node.outputs}:
            found.update((result_of(node),) if node.op_type == "Conv" else node.outputs)
            asked.update(value for _, value in g.data_inputs(node))
    return frozenset(found)
