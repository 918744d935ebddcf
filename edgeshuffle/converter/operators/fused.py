"""Which activation function a runtime computes inside the convolution or sum before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Activation, operator_of
from edgeshuffle.converter.plan import QMAX, QMIN, QParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir


@dataclass(frozen=True)
class Fused:
    """A node's activation, and the value that comes out of both."""

    activation: Activation
    output: ir.Value


def fused(node: ir.Node) -> Fused:
    """What a node computes, where it can together with the activation that alone reads it."""
    output = node.outputs[0]
    reader = g.sole_consumer(output) if operator_of(node).fuses else None
    if reader is None or operator_of(reader).activation_of(reader) == "none":
        return Fused("none", output)
    return Fused(operator_of(reader).activation_of(reader), reader.outputs[0])


def results(node: ir.Node) -> Sequence[ir.Value]:
    """The values that a runtime's operator for this node gives."""
    return (fused(node).output,) if len(node.outputs) == 1 else node.outputs


def is_fused(node: ir.Node) -> bool:
    """Whether an activation is computed by what is before it."""
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    return (
        operator_of(node).activation_of(node) != "none"
        and producer is not None
        and fused(producer).output is node.outputs[0]
    )


def clamp_is_implied(activation: Activation, params: QParams) -> bool:
    """Whether saturating to the output's integers does what the activation function would."""
    if activation == "none":
        return True
    if params.zero_point != QMIN:
        return False
    return activation == "relu" or (QMAX - params.zero_point - 0.5) * params.scale <= 6
