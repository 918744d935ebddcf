"""Which values of a mixed plan are floats.

A convolution that the plan has no integers for computes floats, and one whose sums are not rounded
gives floats. So do the operators that take
nothing but floats to where floats are read; elsewhere the floats are quantized. The input is always
quantized, as the models of both formats take it so.

After the last convolutions, probabilities (Softmax, Sigmoid) and what is made of them are floats:
few numbers, of which small ones count, and 256 steps have none for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, is_conv, operator_of
from edgeshuffle.converter.operators.fused import fused, is_fused, results

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan


def conv_names(graph: ir.Graph) -> tuple[str, ...]:
    """All convolutions, by the names that plans have for them, in order."""
    return tuple(node.outputs[0].name or "" for node in graph if is_conv(node))


def float_values(graph: ir.Graph, plan: QuantPlan) -> frozenset[ir.Value]:
    """The values that are computed as floats under the plan."""
    nodes = [node for node in graph if not is_fused(node)]
    tail = _tail(nodes)
    possible: set[ir.Value] = set()
    for node in nodes:
        scale = operator_of(node).scale
        read = [value in possible for _, value in g.data_inputs(node)]
        if is_conv(node):
            conv = plan.convs.get(node.outputs[0].name or "")
            floats = conv is None or conv.unrounded
        elif node in tail:
            floats = scale in (Scale.FLOAT, Scale.GIVEN) or any(read)
        else:
            floats = scale is Scale.FLOAT or all(read)
        if floats:
            possible.update(results(node))
    found: set[ir.Value] = set()
    asked = set(graph.outputs)
    for node in reversed(nodes):
        if fused(node).output not in possible:
            continue
        # What computes is finer with floats than with integers; what only moves waits to be asked.
        if operator_of(node).scale is not Scale.TIED or asked & {*node.outputs}:
            found.update(results(node))
            asked.update(value for _, value in g.data_inputs(node))
    return frozenset(found)


def classifiers(graph: ir.Graph) -> tuple[ir.Node, ...]:
    """The convolutions of one pixel that give logits: no other is behind them."""
    nodes = [node for node in graph if not is_fused(node)]
    tail = _tail(nodes)
    return tuple(node for node in nodes if is_conv(node) and _classifies(node, tail))


def _classifies(conv: ir.Node, tail: set[ir.Node]) -> bool:
    source, weight = conv.inputs[0], g.constant(conv.inputs[1])
    if source is None or weight is None or fused(conv).activation != "none":
        return False
    one = g.shape_of(source)[2:] == weight.shape[2:] == (1, 1) and not any(g.ints(conv, "pads", ()))
    # Of a single output, runtimes know no weights with a scale a channel.
    return (
        one
        and len(weight) > 1
        and g.integer(conv, "group", 1) == 1
        and set(conv.outputs[0].consumers()) <= tail
    )


def _tail(nodes: Sequence[ir.Node]) -> set[ir.Node]:
    """The operators after the last convolutions."""
    found: set[ir.Node] = set()
    for node in reversed(nodes):
        readers = {reader for value in results(node) for reader in value.consumers()}
        if not is_conv(node) and readers <= found:
            found.add(node)
    return found
