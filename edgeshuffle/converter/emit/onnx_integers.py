"""The integers of an INT8 ONNX file's values, and where they become floats and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper, numpy_helper

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.plan import QMIN, QParams, QuantPlan, params_of_range
from edgeshuffle.converter.precision import float_values

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir


class Integers:
    """An INT8 file in the making.

    `style` is `qdq` or `qoperator`. Names of tensors: a value's integers are `name(value)`, of the
    type `kind`, which is the plan's numbers and the `offset`; its floats are `float_name(value)`.
    Nodes that are `written` already, along with one before them, are passed over.
    """

    def __init__(
        self, model: ir.Model, plan: QuantPlan, style: str, activations: np.dtype[Any]
    ) -> None:
        self.model = model
        self.plan = plan
        self.style = style
        self.kind = activations.type
        self.offset = int(np.iinfo(activations).min) - QMIN
        self.floats = float_values(model.graph, plan)
        self.written: set[ir.Node] = set()
        self._rounded: set[ir.Value] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def name(self, value: ir.Value) -> str:
        """Of the tensor with a value's integers."""
        return f"{value.name}_q"

    def floats_of(self, value: ir.Value) -> str:
        """Of the tensor with a value's floats."""
        return float_name(value)

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append an operator and return its output."""
        self.nodes.append(
            helper.make_node(op, inputs, [output], name=f"{output}/{op}", **attributes)
        )
        return output

    def constant(self, name: str, array: np.ndarray | np.generic) -> str:
        """Keep a constant, if there is none of that name yet, and return its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def params(self, value: ir.Value, *, scalar: bool = False) -> list[str]:
        """Scale and zero point of a value's integers; `scalar`: of rank 0."""
        params = self.plan.activations[value.name or ""]
        if scalar:
            return self.scalars(params)
        zero_point = params.zero_point + self.offset
        return [
            self.constant(f"scale_{np.float32(params.scale):.9g}", np.float32(params.scale)),
            self.constant(f"zero_point_{zero_point}", self.kind(zero_point)),
        ]

    def steps(self, value: ir.Value) -> str:
        """The integers of a value; those of floats are made when they are first asked for."""
        if value in self.floats and value not in self._rounded:
            self._rounded.add(value)
            self.quantize(float_name(value), value)
        return self.name(value)

    def operand(self, node: ir.Node, index: int) -> list[str]:
        """Integers, scale and zero point of an input, which may be constant."""
        value = node.inputs[index]
        assert value is not None
        array = g.constant(value)
        if array is None:
            return [self.steps(value), *self.params(value, scalar=True)]
        params = params_of_range(float(array.min()), float(array.max()))
        steps = params.quantize(array).astype(np.int16) + self.offset
        name = f"{node.outputs[0].name}_constant_{index}"
        return [self.constant(name, steps.astype(self.kind)), *self.scalars(params)]

    def scalars(self, params: QParams) -> list[str]:
        """Scale and zero point of rank 0."""
        zero_point = params.zero_point + self.offset
        numbers = {
            f"scalar_scale_{np.float32(params.scale):.9g}": np.float32(params.scale),
            f"scalar_zero_point_{zero_point}": self.kind(zero_point),
        }
        for name, number in numbers.items():
            self.constants[name] = numpy_helper.from_array(np.asarray(number), name)
        return list(numbers)

    def quantize(self, real: str, value: ir.Value, *, scalar: bool = False) -> None:
        """Make a value's integers of a float tensor."""
        params = self.params(value, scalar=scalar)
        self.add("QuantizeLinear", [real, *params], self.name(value))

    def dequantized(self, value: ir.Value, reader: ir.Node, *, scalar: bool = False) -> str:
        """A float tensor of a value's integers, for one reader."""
        name = f"{value.name}/for/{reader.outputs[0].name}"
        params = self.params(value, scalar=scalar)
        return self.add("DequantizeLinear", [self.steps(value), *params], name)

    def steps_like(self, value: ir.Value, result: ir.Value) -> str:
        """The integers of a value with the parameters of `result`, which it is moved to."""
        if self.params(value) == self.params(result):
            return self.steps(value)
        name = f"{self.name(value)}/for/{result.name}"
        real = self.add(
            "DequantizeLinear", [self.steps(value), *self.params(value)], f"{name}_real"
        )
        return self.add("QuantizeLinear", [real, *self.params(result)], name)


def float_name(value: ir.Value) -> str:
    """Of the tensor with a value's floats."""
    return f"{value.name}_float"
