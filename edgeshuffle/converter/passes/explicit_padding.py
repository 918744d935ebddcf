"""Write automatic padding out as numbers.

ONNX `auto_pad` (Conv, MaxPool, AveragePool): SAME_UPPER pads so that out = ceil(in / stride), the
odd pixel at the end; SAME_LOWER has it at the start; VALID pads nothing.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome


def run(model: ir.Model) -> Outcome:
    """Replace every `auto_pad` by the `pads` it means."""
    count = 0
    for node in model.graph:
        mode = node.attributes.get("auto_pad")
        if mode is None:
            continue
        del node.attributes["auto_pad"]
        if mode.as_string() == "NOTSET":
            continue
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
    return None


def _kernel(node: ir.Node) -> tuple[int, ...]:
    if node.op_type != "Conv":
        return g.ints(node, "kernel_shape", ())
    weight = node.inputs[1]
    assert weight is not None
    return g.shape_of(weight)[2:]
