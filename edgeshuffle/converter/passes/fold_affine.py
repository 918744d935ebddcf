"""Fold factors and offsets of channels into the convolutions around them.

With W and b of a convolution, and a factor s and an offset o a channel or for all,

    s (W x + b) + o = (s W) x + (s b + o)        W (s x + o) + b = (W s) x + (W o + b)

where the second holds if nothing is padded, as padding is 0 and not s 0 + o; a factor alone may
have padding. What is a factor or an offset a channel otherwise becomes a depthwise convolution of
one pixel, whose weights have a scale each in INT8. A quotient is a product, a difference a sum.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome

_INVERSE = {"Div": "Mul", "Sub": "Add"}


def run(model: ir.Model) -> Outcome:
    """Until nothing is left to fold."""
    count = 0
    for node in list(model.graph):
        if _is_inverse(node):
            _invert(model.graph, node)
            count += 1
    changed = True
    while changed:
        changed = False
        for node in list(model.graph):
            if _folds_back(node):
                _fold_back(model.graph, node)
            elif _folds_on(node):
                _fold_on(model.graph, node)
            elif _is_layer(node):
                _make_layer(model.graph, node)
            else:
                continue
            changed = True
            count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """Nothing is left to fold."""
    for node in model.graph:
        if _is_inverse(node) or _folds_back(node) or _folds_on(node) or _is_layer(node):
            return f"{where(node)} is not folded"
    return None


def _is_inverse(node: ir.Node) -> bool:
    """Whether a constant is subtracted from a value, or divides it."""
    if node.op_type not in _INVERSE or g.constant(node.inputs[0]) is not None:
        return False
    array = g.constant(node.inputs[1])
    return array is not None and (node.op_type == "Sub" or bool(array.all()))


def _invert(graph: ir.Graph, node: ir.Node) -> None:
    source, value = node.inputs
    array = np.asarray(g.constant(value), np.float64)
    inverse = (1 / array if node.op_type == "Div" else -array).astype(np.float32)
    made = g.new_constant(graph, f"{node.outputs[0].name}_inverse", inverse)
    old = node.outputs[0]
    result = g.new_value(f"{old.name}_inverse", g.shape_of(old), graph)
    kind = _INVERSE[node.op_type]
    graph.insert_before(node, ir.Node("", kind, [source, made], outputs=[result], name=node.name))
    g.replace(node, result)


def _line(node: ir.Node) -> tuple[ir.Value, np.ndarray, np.ndarray] | None:
    """Of a Mul or Add of (1, C, H, W) and a number or one a channel: value, factors, offsets."""
    if node.op_type not in ("Mul", "Add"):
        return None
    read, arrays = g.data_inputs(node), [g.constant(value) for value in node.inputs]
    array = next((array for array in arrays if array is not None), None)
    if len(read) != 1 or array is None or not np.isfinite(array).all():
        return None
    shape = g.shape_of(read[0][1])
    if len(shape) != 4 or g.shape_of(node.outputs[0]) != shape:
        return None
    whole = (1,) * (4 - array.ndim) + array.shape
    if array.size > 1 and whole != (1, shape[1], 1, 1):
        return None
    numbers = np.broadcast_to(array.reshape(-1).astype(np.float64), (shape[1],))
    ones, zeros = np.ones(shape[1]), np.zeros(shape[1])
    factors, offsets = (numbers, zeros) if node.op_type == "Mul" else (ones, numbers)
    return read[0][1], factors, offsets


def _folds_back(node: ir.Node) -> bool:
    """Whether the node alone reads a convolution."""
    line = _line(node)
    made = None if line is None else line[0].producer()
    if line is None or made is None or made.op_type != "Conv":
        return False
    return g.sole_consumer(line[0]) is node and _is_constant(made)


def _folds_on(node: ir.Node) -> bool:
    """Whether only convolutions read the node, and can take it."""
    line, result = _line(node), node.outputs[0]
    if line is None or result.is_graph_output() or not result.consumers():
        return False
    return all(
        reader.op_type == "Conv"
        and _is_constant(reader)
        and reader.inputs[0] is result
        and (node.op_type == "Mul" or not any(g.ints(reader, "pads", ())))
        for reader in result.consumers()
    )


def _is_constant(conv: ir.Node) -> bool:
    return all(g.constant(value) is not None for value in conv.inputs[1:] if value is not None)


def _is_layer(node: ir.Node) -> bool:
    """Whether the node has a number a channel, and a convolution comes after it."""
    arrays = [array for array in map(g.constant, node.inputs) if array is not None]
    if _line(node) is None or all(array.size == 1 for array in arrays):
        return False
    seen: set[ir.Node] = set()
    pending = [node]
    while pending:
        for reader in {r for value in pending.pop().outputs for r in value.consumers()} - seen:
            if reader.op_type in ("Conv", "Gemm", "MatMul"):
                return True
            seen.add(reader)
            pending.append(reader)
    return False


def _fold_back(graph: ir.Graph, node: ir.Node) -> None:
    line = _line(node)
    assert line is not None
    source, factors, offsets = line
    conv = source.producer()
    assert conv is not None
    weight, bias = _parameters(conv)
    _set(graph, conv, weight * factors[:, None, None, None], bias * factors + offsets)
    g.replace(node, source)


def _fold_on(graph: ir.Graph, node: ir.Node) -> None:
    line = _line(node)
    assert line is not None
    source, factors, offsets = line
    for conv in list(node.outputs[0].consumers()):
        weight, bias = _parameters(conv)
        groups = g.integer(conv, "group", 1)
        rows = len(weight) // groups
        # Of each row: what the channels that it reads are multiplied by, and moved by.
        by_row = [
            array.reshape(groups, -1).repeat(rows, axis=0)[:, :, None, None]
            for array in (factors, offsets)
        ]
        moved = (weight * by_row[1]).sum((1, 2, 3))
        _set(graph, conv, weight * by_row[0], bias + moved)
        conv.replace_input_with(0, source)
    graph.remove(node, safe=True)


def _make_layer(graph: ir.Graph, node: ir.Node) -> None:
    line = _line(node)
    assert line is not None
    source, factors, offsets = line
    old, name = node.outputs[0], node.name or node.outputs[0].name or "scale"
    result = g.new_value(f"{old.name}_scaled", g.shape_of(old), graph)
    weight = factors[:, None, None, None].astype(np.float32)
    parameters = [
        g.new_constant(graph, f"{name}_weight", weight),
        g.new_constant(graph, f"{name}_bias", offsets.astype(np.float32)),
    ]
    attributes = [ir.AttrInt64s("kernel_shape", [1, 1]), ir.AttrInt64("group", len(factors))]
    made = ir.Node("", "Conv", [source, *parameters], attributes, outputs=[result], name=name)
    graph.insert_before(node, made)
    g.replace(node, result)


def _parameters(conv: ir.Node) -> tuple[np.ndarray, np.ndarray]:
    weight = np.asarray(g.constant(conv.inputs[1]), np.float64)
    bias = g.constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    return weight, np.zeros(len(weight)) if bias is None else bias.astype(np.float64)


def _set(graph: ir.Graph, conv: ir.Node, weight: np.ndarray, bias: np.ndarray) -> None:
    name = conv.inputs[1].name if conv.inputs[1] is not None else "weight"
    conv.resize_inputs(3)
    for slot, array, kind in ((1, weight, "scaled"), (2, bias, "scaled_bias")):
        made = g.new_constant(graph, f"{name}_{kind}", array.astype(np.float32))
        conv.replace_input_with(slot, made)
