"""Let convolutions and pools pad by themselves.

A Pad of zeros before a convolution is the convolution's own padding. Before a mean it is padding
that counts. Before a maximum it is padding that never counts, where no number is negative; so is
padding with the least number, whatever the others are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.operators.pad import amounts
from edgeshuffle.converter.operators.sign import is_non_negative
from edgeshuffle.converter.passes.outcome import Outcome

if TYPE_CHECKING:
    import numpy as np

# Authors write less than the least float32.
_LEAST: Final = -1e30


def run(model: ir.Model) -> Outcome:
    """Fold every Pad into those that read it, where each of them is equal."""
    count = 0
    # From the end, as what reads the second of two Pads then reads the first.
    for node in reversed(list(model.graph)):
        if node.op_type != "Pad" or node.outputs[0].is_graph_output():
            continue
        for reader in node.outputs[0].consumers():
            if _takes(reader, node):
                _fold(reader, node)
                count += 1
    g.drop_dead(model)
    return Outcome(count)


def ensures(model: ir.Model) -> str | None:
    """No convolution or pool reads what it could pad by itself."""
    for node in model.graph:
        source = node.inputs[0] if node.inputs else None
        made = None if source is None else source.producer()
        if made is not None and made.op_type == "Pad" and _takes(node, made):
            return f"{where(node)} reads {where(made)}"
    return None


def _takes(reader: ir.Node, pad: ir.Node) -> bool:
    """Whether the reader with more padding equals the reader after the Pad."""
    mode, found, filler = pad.attributes.get("mode"), amounts(pad), argument(pad, 2)
    if mode is not None and mode.as_string() != "constant":
        return False
    if found is None or len(found) != 4 or found[:2].any() or (found < 0).any():
        return False
    if pad.outputs[0].is_graph_output() or reader.inputs[0] is not pad.outputs[0]:
        return False
    number = 0.0 if filler is None else float(filler.reshape(-1)[0])
    if reader.op_type == "Conv":
        return number == 0 and reader.inputs.count(pad.outputs[0]) == 1
    if reader.op_type not in ("AveragePool", "MaxPool") or len(reader.outputs) > 1:
        return False
    own, kernel = g.ints(reader, "pads", (0, 0, 0, 0)), g.ints(reader, "kernel_shape", ())
    if g.integer(reader, "ceil_mode", 0) or len(kernel) != 2:
        return False
    if any(n >= size for n, size in zip(_sum(own, found), (*kernel, *kernel), strict=True)):
        return False
    if reader.op_type == "AveragePool":
        return number == 0 and (not any(own) or bool(g.integer(reader, "count_include_pad", 0)))
    source = pad.inputs[0]
    assert source is not None
    return number <= _LEAST or (number == 0 and is_non_negative(source))


def _sum(own: tuple[int, ...], found: np.ndarray) -> list[int]:
    return [a + int(b) for a, b in zip(own, found[2:].T.reshape(-1), strict=True)]


def _fold(reader: ir.Node, pad: ir.Node) -> None:
    found = amounts(pad)
    assert found is not None
    own = g.ints(reader, "pads", (0, 0, 0, 0))
    reader.attributes["pads"] = ir.AttrInt64s("pads", _sum(own, found))
    if reader.op_type == "AveragePool":
        reader.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
    reader.replace_input_with(0, pad.inputs[0])
