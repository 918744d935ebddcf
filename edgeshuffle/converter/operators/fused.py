"""Which activation function a runtime computes inside the convolution before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Activation, operator_of

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class Fused:
    """A node's activation, and the value that comes out of both."""

    activation: Activation
    output: ir.Value


def fused(node: ir.Node) -> Fused:
    """What a node computes, for a Conv together with the activation that alone reads it."""
    output = node.outputs[0]
    reader = g.sole_consumer(output) if node.op_type == "Conv" else None
    if reader is None or operator_of(reader).activation == "none":
        return Fused("none", output)
    return Fused(operator_of(reader).activation, reader.outputs[0])


def is_fused(node: ir.Node) -> bool:
    """Whether an activation is computed by the convolution before it."""
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    return (
        operator_of(node).activation != "none"
        and producer is not None
        and fused(producer).output is node.outputs[0]
    )
