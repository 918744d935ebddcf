"""Which activation function a runtime computes inside the convolution before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgeshuffle.converter import graph as g

if TYPE_CHECKING:
    import onnx_ir as ir

Activation = Literal["none", "relu", "relu6"]


@dataclass(frozen=True)
class Fused:
    """A convolution's activation, and the value that comes out of both."""

    activation: Activation
    output: ir.Value


def activation_of(node: ir.Node) -> Activation:
    """`relu` or `relu6` for a node that is one, else `none`."""
    kinds: dict[str, Activation] = {"Relu": "relu", "Clip": "relu6"}
    return kinds.get(node.op_type, "none")


def fused(conv: ir.Node) -> Fused:
    """What a Conv computes together with the activation that alone reads it."""
    output = conv.outputs[0]
    reader = g.sole_consumer(output)
    if reader is None or activation_of(reader) == "none":
        return Fused("none", output)
    return Fused(activation_of(reader), reader.outputs[0])


def is_fused(node: ir.Node) -> bool:
    """Whether an activation is computed by the convolution before it."""
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    return (
        activation_of(node) != "none"
        and producer is not None
        and producer.op_type == "Conv"
        and fused(producer).output is node.outputs[0]
    )
