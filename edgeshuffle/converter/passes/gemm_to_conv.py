"""Write a classifier on pooled features as a 1x1 convolution.

Gemm(x, W, b) on x of shape (1, C) equals Conv with weight (N, C, 1, 1) on x as (1, C, 1, 1). So
one operator carries per-channel INT8 weights in both formats, and the graph stays 4-D until a
last Flatten: where x was flattened from (1, C, 1, 1), the convolution reads that instead, and an
activation between two classifiers stays 4-D. MatMul, and MatMul followed by Add of a constant, are
Gemms spelled otherwise.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome


def run(model: ir.Model) -> Outcome:
    """Rewrite every Gemm or MatMul whose first input is (1, C) with constant weights."""
    count, left = 0, []
    for node in list(model.graph):
        if node.op_type not in ("Gemm", "MatMul"):
            continue
        obstacle = _obstacle(node)
        if obstacle is None:
            _rewrite(model.graph, node)
            count += 1
        else:
            left.append(f"{where(node)} {obstacle}")
    g.drop_dead(model)
    return Outcome(count, tuple(left))


def ensures(model: ir.Model) -> str | None:
    """Each Gemm or MatMul that is left is none on pooled features."""
    for node in model.graph:
        if node.op_type in ("Gemm", "MatMul") and _obstacle(node) is None:
            return f"{where(node)} is left"
    return None


def _obstacle(node: ir.Node) -> str | None:
    """Why a Gemm or MatMul is no 1x1 convolution; None if it is one."""
    source, weight = node.inputs[0], g.constant(node.inputs[1])
    if weight is None or weight.ndim != 2:
        return "has no constant 2-D weight"
    if source is None or g.integer(node, "transA", 0):
        return "transposes its input"
    shape = g.shape_of(source)
    if len(shape) != 2 or shape[0] != 1:
        return f"reads {list(shape)}, which is no (1, C)"
    if len(node.inputs) > 2 and node.inputs[2] is not None and g.constant(node.inputs[2]) is None:
        return "has a bias that is not constant"
    return None


def _rewrite(graph: ir.Graph, node: ir.Node) -> None:
    source, weight = node.inputs[0], g.constant(node.inputs[1])
    assert source is not None
    assert weight is not None
    shape = g.shape_of(source)
    weight = np.asarray(weight, np.float64)
    if not g.integer(node, "transB", 0):
        weight = weight.T
    alpha, beta = (node.attributes.get(name) for name in ("alpha", "beta"))
    weight = weight * (1.0 if alpha is None else alpha.as_float())
    bias = np.zeros(len(weight))
    last = node
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        given = g.constant(node.inputs[2])
        assert given is not None
        bias = bias + given.reshape(-1) * (1.0 if beta is None else beta.as_float())
    elif node.op_type == "MatMul":
        add = g.sole_consumer(node.outputs[0])
        if (
            add is not None
            and add.op_type == "Add"
            and g.shape_of(add.outputs[0]) == (1, len(weight))
        ):
            term = next((c for v in add.inputs if (c := g.constant(v)) is not None), None)
            if term is not None and term.size in (1, len(weight)):
                bias, last = bias + term.reshape(-1), add

    old = last.outputs[0]
    name = node.name or old.name or "classifier"
    column = _unflattened(source)
    before = []
    if column is None:
        column = g.new_value(f"{old.name}_in", (1, shape[1], 1, 1), graph)
        sizes = g.new_constant(graph, f"{name}_shape", np.array([1, shape[1], 1, 1], np.int64))
        before.append(ir.Node("", "Reshape", [source, sizes], outputs=[column]))
    row = g.new_value(f"{old.name}_conv", (1, len(weight), 1, 1), graph)
    flat = g.new_value(f"{old.name}_flat", (1, len(weight)), graph)
    kernel = g.new_constant(graph, f"{name}_weight", weight[:, :, None, None].astype(np.float32))
    offset = g.new_constant(graph, f"{name}_bias", bias.astype(np.float32))
    graph.insert_before(
        last,
        [
            *before,
            ir.Node(
                "",
                "Conv",
                [column, kernel, offset],
                [ir.AttrInt64s("kernel_shape", [1, 1])],
                outputs=[row],
                name=name,
            ),
            ir.Node("", "Flatten", [row], outputs=[flat]),
        ],
    )
    g.replace(last, flat)
    if last is not node:
        graph.remove(node, safe=True)
    _sink(graph, flat)


def _sink(graph: ir.Graph, flat: ir.Value) -> None:
    """Flatten after an activation, not before it, so that the next classifier finds pixels."""
    flatten, act = flat.producer(), g.sole_consumer(flat)
    if flatten is None or act is None or act.op_type not in ("Relu", "Clip"):
        return
    row, old = flatten.inputs[0], act.outputs[0]
    assert row is not None
    acted = g.new_value(f"{old.name}_act", g.shape_of(row), graph)
    result = g.new_value(f"{old.name}_flat", g.shape_of(old), graph)
    made = ir.Node("", act.op_type, [row, *act.inputs[1:]], outputs=[acted], name=act.name)
    graph.insert_before(act, [made, ir.Node("", "Flatten", [acted], outputs=[result])])
    g.replace(act, result)
    graph.remove(flatten, safe=True)


def _unflattened(row: ir.Value) -> ir.Value | None:
    """The (1, C, 1, 1) value that only lost its last two axes to become `row`, if there is one."""
    node = row.producer()
    if node is None or node.op_type not in ("Flatten", "Reshape", "Squeeze"):
        return None
    source = node.inputs[0]
    assert source is not None
    return source if g.shape_of(source) == (*g.shape_of(row), 1, 1) else None
