"""What there is to say of an ONNX operator kind, with the defaults that most kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol

from edgeshuffle.converter import graph as g

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer
    from edgeshuffle.converter.plan import QParams

Activation = Literal["none", "relu", "relu6"]
Shape = tuple[int, ...]


class Channels(Enum):
    """What the order of its inputs' channels means to an operator.

    An element-wise operator of several run-time values, such as Add of a residual or Mul by a gate
    of shape (1, C, 1, 1), is JOINT: its inputs have one channel count, or 1, and take their
    channels in one order. Constants of a channel-wise or joint operator that have a channel axis
    (that of a (1, C, 1, 1) or (C, 1, 1) array) are permuted along.
    """

    MOVES = "rearranges elements and computes nothing"
    CHANNELWISE = "any order, the output has the same"
    JOINT = "any order that all run-time inputs share, the output has the same"
    FREE = "any order, the weight columns follow"
    GROUPED = "any order of its groups and inside each, the output's groups have the same"
    FIXED = "as given"


class Scale(Enum):
    """Which scale and zero point an operator's INT8 output has."""

    OWN = "its own, chosen by calibration"
    TIED = "its input's: it computes the same on integers as on reals"
    GIVEN = "that of the TFLite 8-bit specification, whatever the input's"
    FLOAT = "its own, but INT8 files compute it with floats, too"
    NONE = "none: the passes rewrite it, so that it is never quantized"


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates an image, and parameters."""

    macs: int
    parameters: int


class Operator:
    """One kind. A subclass says what differs from an operator that the passes rewrite.

    `fuses`: runtimes compute the activation that alone reads it along with it. `between`: outputs
    lie between the numbers that it reads, so they are rounded although its scale is tied.
    `homogeneous`: f(s x) = s f(x) for every positive factor a channel, of all operands.
    `never_negative`: no output is below 0. `activation`: what runtimes call it where they compute
    it inside the convolution before it. `weights`: positions of the inputs that hold weights,
    biases or statistics, where they are constant. `multiplies`: it has multiply-accumulates.
    `copies`: it computes nothing, but runtimes have to write elements that it reads elsewhere.
    """

    channels: Channels = Channels.FIXED
    scale: Scale = Scale.NONE
    fuses: bool = False
    between: bool = False
    homogeneous: bool = False
    never_negative: bool = False
    activation: Activation = "none"
    weights: tuple[int, ...] = ()
    multiplies: bool = False
    copies: bool = False

    def check(self, node: ir.Node) -> str | None:
        """Why a node that is left after the passes cannot be written; None where it can."""
        if self.scale is Scale.NONE:
            return (
                "is left after the rewrites and cannot be emitted: "
                f"{shapes(node)} is not a rearrangement of whole channels, a batch norm after a "
                "convolution, or a classifier that is understood here"
            )
        return None

    def role(self, node: ir.Node) -> Channels:  # noqa: ARG002
        """What the channels' order means to this node, which may be less than to its kind."""
        return self.channels

    def activation_of(self, node: ir.Node) -> Activation:  # noqa: ARG002
        """What runtimes call this node where they compute it inside another."""
        return self.activation

    def is_never_negative(self, node: ir.Node) -> bool:  # noqa: ARG002
        """Whether no output of this node is below 0."""
        return self.never_negative

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs' arrays of numbered elements; only kinds that MOVE have it."""
        raise NotImplementedError(node.op_type)

    def grid(self, node: ir.Node) -> QParams:
        """Scale and zero point of the output; only kinds whose scale is GIVEN have it."""
        raise NotImplementedError(node.op_type)

    def fit(self, node: ir.Node, source: QParams, result: QParams) -> QParams:  # noqa: ARG002
        """What to read `source` with, near to what is, for all runtimes to compute the same."""
        return source

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Float outputs for run-time inputs; with the activation that is computed along.

        A Conv is run by whoever knows its weights, and its activation with it.
        """
        raise NotImplementedError(node.op_type)

    def cost(self, node: ir.Node) -> Cost:
        """What one image costs."""
        given = [() if value is None else g.shape_of(value) for value in node.inputs]
        held = (g.constant(node.inputs[one]) for one in self.weights if one < len(node.inputs))
        return Cost(
            macs=self.macs(given, g.shape_of(node.outputs[0])),
            parameters=sum(array.size for array in held if array is not None),
        )

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:  # noqa: ARG002
        """Multiply-accumulates of an inference with values of these shapes; 0 unless it
        `multiplies`.
        """
        return 0

    def averaged(self, node: ir.Node) -> int:  # noqa: ARG002
        """How many elements of a channel each output is the mean of; their errors cancel."""
        return 1

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """Write the INT8 form: on the integers themselves where the scale is tied, else QDQ."""
        if self.scale is Scale.TIED:
            writer.move(node)
        else:
            writer.qdq(node)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """Write the form that the writer's plan asks for, float or INT8."""
        raise NotImplementedError(node.op_type)


class OperatorModule(Protocol):
    """What an operator's module offers."""

    OPERATOR: Operator


def where(node: ir.Node) -> str:
    """An operator and its node's name, for messages."""
    return f"{node.op_type} (node '{node.name or node.outputs[0].name}')"


def shapes(node: ir.Node) -> str:
    """The shapes that a node reads and gives, for messages."""
    given = [str(value.shape) for _, value in g.data_inputs(node)]
    return f"{' + '.join(given)} -> {node.outputs[0].shape}"
