"""Write automatic padding out as numbers.

ONNX `auto_pad` (Conv, MaxPool, AveragePool): SAME_UPPER pads so that out = ceil(in / stride), the
odd pixel at the end; SAME_LOWER has it at the start; VALID pads nothing. With `ceil_mode` the last
window of a pool reaches over the end. Nothing is there that is the largest, or that a mean counts:
as if padded by what is not counted. A mean that counts other padding reads it from a Pad.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome


def run(model: ir.Model) -> Outcome:
    """Replace every `auto_pad` and `ceil_mode` by the `pads` it means."""
    count = 0
    for node in list(model.graph):
        mode = node.attributes.get("auto_pad")
        if mode is not None and mode.as_string() == "NOTSET":
            mode = None
            del node.attributes["auto_pad"]
        if _rounds_up(node):
            _write_out(model.graph, node)
            count += 1
        if mode is None:
            continue
        del node.attributes["auto_pad"]
        begins, ends = [], []
        kernel, source = _kernel(node), node.inputs[0]
        assert source is not None
        sizes = g.shape_of(source)[2:]
        strides = g.ints(node, "strides", [1] * len(sizes))
        dilations = g.ints(node, "dilations", [1] * len(sizes))
        for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
            total = 0
            if mode.as_string() != "VALID":
                total = max(
                    (-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0
                )
            less = total // 2
            begins.append(less if mode.as_string() == "SAME_UPPER" else total - less)
            ends.append(total - begins[-1])
        node.attributes["pads"] = ir.AttrInt64s("pads", begins + ends)
        count += 1
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """No operator pads by itself."""
    for node in model.graph:
        if "auto_pad" in node.attributes:
            return f"{where(node)} has auto_pad"
        if _rounds_up(node):
            return f"{where(node)} has ceil_mode"
    return None


def _kernel(node: ir.Node) -> tuple[int, ...]:
    if node.op_type != "Conv":
        return g.ints(node, "kernel_shape", ())
    weight = node.inputs[1]
    assert weight is not None
    return g.shape_of(weight)[2:]


def _rounds_up(node: ir.Node) -> bool:
    if node.op_type not in ("AveragePool", "MaxPool") or "auto_pad" in node.attributes:
        return False
    kernel = g.ints(node, "kernel_shape", ())
    return g.integer(node, "ceil_mode", 0) == 1 and all(
        pad < size for pad, size in zip(_pads_of_result(node), kernel * 2, strict=True)
    )


def _write_out(graph: ir.Graph, node: ir.Node) -> None:
    """Make an equal pool without `ceil_mode`."""
    given, reached = list(g.ints(node, "pads", ())), _pads_of_result(node)
    del node.attributes["ceil_mode"]
    changed = reached != given
    if any(given) and changed and g.integer(node, "count_include_pad", 0):
        source, half = node.inputs[0], len(given) // 2
        assert source is not None
        sizes = g.shape_of(source)
        wider = [
            size + a + b for size, a, b in zip(sizes[2:], given[:half], given[half:], strict=True)
        ]
        padded = g.new_value(f"{source.name}_padded", (*sizes[:2], *wider), graph)
        amounts = [0, 0, *given[:half], 0, 0, *given[half:]]
        name = f"{node.name or node.outputs[0].name}_pads"
        pads = g.new_constant(graph, name, np.array(amounts, np.int64))
        graph.insert_before(node, ir.Node("", "Pad", [source, pads], outputs=[padded], name=name))
        node.replace_input_with(0, padded)
        reached = [0] * half + [b - a for a, b in zip(given[half:], reached[half:], strict=True)]
    if changed:
        node.attributes.pop("count_include_pad", None)
    node.attributes["pads"] = ir.AttrInt64s("pads", reached)


def _pads_of_result(node: ir.Node) -> list[int]:
    """The padding with which the last window, of as many as the output has, ends at the end."""
    source, kernel = node.inputs[0], g.ints(node, "kernel_shape", ())
    assert source is not None
    axes, results = len(kernel), g.shape_of(node.outputs[0])[2:]
    strides, dilations = (g.ints(node, name, [1] * axes) for name in ("strides", "dilations"))
    pads = list(g.ints(node, "pads", [0] * 2 * axes))
    for axis, size in enumerate(g.shape_of(source)[2:]):
        reach = (results[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        pads[axes + axis] = max(reach - size - pads[axis], pads[axes + axis])
    return pads
