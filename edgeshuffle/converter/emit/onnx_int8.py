"""INT8 ONNX in QDQ or QOperator style, with layers left in float.

Activations are the plan's int8 numbers, or uint8 with zero point + 128, which is the same with the
top bit flipped: ONNX Runtime's kernels for x86, and those for ARM without dot products, take fewer
instructions for u8 x s8. Operators that only move or compare elements work on the integers
themselves in both styles, so a runtime needs no fusion to run them on a byte an element. (ONNX
operators QuantizeLinear, DequantizeLinear, QLinearConv; com.microsoft.QLinearGlobalAveragePool.)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.onnx_float import finished
from edgeshuffle.converter.emit.onnx_names import name_ends
from edgeshuffle.converter.operators import OPSET, Activation, operator_of, where
from edgeshuffle.converter.operators.fused import fused, is_fused
from edgeshuffle.converter.plan import QMAX, QMIN, QParams, QuantPlan, params_of_range
from edgeshuffle.converter.precision import float_values

_MICROSOFT: Final = "com.microsoft"
# Names that no graph has, until every other name is known.
_INPUT, _OUTPUT = "\0input", "\0output"


class Int8Writer:
    """An INT8 file in the making; operators write themselves through it.

    `style` is `qdq` or `qoperator`. Names of tensors: a value's integers are `name(value)`.
    """

    def __init__(
        self, model: ir.Model, plan: QuantPlan, style: str, activations: np.dtype[Any]
    ) -> None:
        self.model = model
        self.plan = plan
        self.style = style
        self._type = activations.type
        self._offset = int(np.iinfo(activations).min) - QMIN
        self._floats = float_values(model.graph, plan)
        self._rounded: set[ir.Value] = set()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def proto(self) -> onnx.ModelProto:
        """The whole file."""
        graph = self.model.graph
        self.quantize(_INPUT, graph.inputs[0])
        for node in graph:
            if is_fused(node):
                continue
            if fused(node).output in self._floats:
                self._compute_floats(node)
            else:
                operator_of(node).onnx(self, node)
        wanted = {graph.inputs[0].name or "": _INPUT}
        for number, output in enumerate(graph.outputs):
            end = _float_name(output)
            if output not in self._floats:
                end = f"{_OUTPUT}{number or ''}"
                self.add("DequantizeLinear", [self.name(output), *self.params(output)], end)
            wanted[output.name or ""] = end
        name_ends(wanted, self._nodes, self._constants)
        opsets = [("", OPSET)]
        if any(node.domain == _MICROSOFT for node in self._nodes):
            opsets.append((_MICROSOFT, 1))
        return finished(self.model, self._nodes, list(self._constants.values()), opsets)

    def name(self, value: ir.Value) -> str:
        """Of the tensor with a value's integers."""
        return f"{value.name}_q"

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append an operator and return its output."""
        self._nodes.append(
            helper.make_node(op, inputs, [output], name=f"{output}/{op}", **attributes)
        )
        return output

    def constant(self, name: str, array: np.ndarray | np.generic) -> str:
        """Keep a constant, if there is none of that name yet, and return its name."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def params(self, value: ir.Value, *, scalar: bool = False) -> list[str]:
        """Scale and zero point of a value's integers; `scalar`: of rank 0."""
        params = self.plan.activations[value.name or ""]
        if scalar:
            return self._scalars(params)
        zero_point = params.zero_point + self._offset
        return [
            self.constant(f"scale_{np.float32(params.scale):.9g}", np.float32(params.scale)),
            self.constant(f"zero_point_{zero_point}", self._type(zero_point)),
        ]

    def steps(self, value: ir.Value) -> str:
        """The integers of a value; those of floats are made when they are first asked for."""
        if value in self._floats and value not in self._rounded:
            self._rounded.add(value)
            self.quantize(_float_name(value), value)
        return self.name(value)

    def operand(self, node: ir.Node, index: int) -> list[str]:
        """Integers, scale and zero point of an input, which may be constant."""
        value = node.inputs[index]
        assert value is not None
        array = g.constant(value)
        if array is None:
            return [self.steps(value), *self.params(value, scalar=True)]
        params = params_of_range(float(array.min()), float(array.max()))
        steps = params.quantize(array).astype(np.int16) + self._offset
        name = f"{node.outputs[0].name}_constant_{index}"
        return [self.constant(name, steps.astype(self._type)), *self._scalars(params)]

    def _scalars(self, params: QParams) -> list[str]:
        zero_point = params.zero_point + self._offset
        numbers = {
            f"scalar_scale_{np.float32(params.scale):.9g}": np.float32(params.scale),
            f"scalar_zero_point_{zero_point}": self._type(zero_point),
        }
        for name, number in numbers.items():
            self._constants[name] = numpy_helper.from_array(np.asarray(number), name)
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

    def activate(self, activation: Activation, source: str, output: str) -> str:
        """An activation function of a float tensor."""
        if activation == "relu":
            return self.add("Relu", [source], output)
        limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
        return self.add("Clip", [source, *limits], output)

    def qdq(self, node: ir.Node, *, scalar: bool = False) -> None:
        """The node's own float operator between DequantizeLinear and QuantizeLinear.

        `scalar`: where ONNX Runtime makes an operator of the three whose scales have rank 0.
        """
        (result,) = node.outputs
        inputs = []
        for index, value in enumerate(node.inputs):
            array = g.constant(value)
            if value is None:
                inputs.append("")
            elif array is None:
                inputs.append(self.dequantized(value, node, scalar=scalar))
            else:
                inputs.append(self.constant(f"{result.name}_constant_{index}", array))
        real = self.add(node.op_type, inputs, f"{result.name}_real")
        self._nodes[-1].attribute.extend(ir.to_proto(node).attribute)
        self.quantize(real, result, scalar=scalar)

    def qlinear(
        self,
        node: ir.Node,
        op: str,
        *,
        copied: bool = False,
        scalar: bool = False,
        **attributes: Any,
    ) -> None:
        """ONNX Runtime's own integer operator of one input.

        `copied`: with the node's attributes; `scalar`: with scales of rank 0, as some want them.
        """
        (source, *_), (result,) = node.inputs, node.outputs
        assert source is not None
        read, made = (self.params(value, scalar=scalar) for value in (source, result))
        inputs = [self.steps(source), *read, *made]
        self.microsoft(op, inputs, self.name(result), **attributes)
        if copied:
            self._nodes[-1].attribute.extend(ir.to_proto(node).attribute)

    def microsoft(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append an operator that is ONNX Runtime's own."""
        self.add(op, inputs, output, domain=_MICROSOFT, **attributes)

    def clamp(self, node: ir.Node, activation: Activation) -> None:
        """An activation on integers that share one scale: a Clip at the zero point."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        params = self.plan.activations[result.name or ""]
        top = QMAX
        if activation == "relu6":
            top = min(QMAX, round(6 / params.scale) + params.zero_point)
        limits = [
            self.constant(f"level_{level}", self._type(level))
            for level in (params.zero_point + self._offset, top + self._offset)
        ]
        self.add("Clip", [self._steps_like(source, result), *limits], self.name(result))

    def move(self, node: ir.Node) -> None:
        """The node's own operator, on integers."""
        inputs = []
        for value in node.inputs:
            array = g.constant(value)
            if value is None:
                inputs.append("")
            elif array is None:
                inputs.append(self._steps_like(value, node.outputs[0]))
            else:
                inputs.append(self.constant(value.name or "", array))
        outputs = [self.name(value) for value in node.outputs]
        copy = helper.make_node(node.op_type, inputs, outputs, name=where(node))
        copy.attribute.extend(ir.to_proto(node).attribute)
        self._nodes.append(copy)

    def pad(self, node: ir.Node) -> None:
        """A Pad with the integer that stands for 0."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        arrays = [g.constant(value) for value in node.inputs]
        inputs = [self._steps_like(source, result)]
        zero = self.plan.activations[result.name or ""].zero_point + self._offset
        for index, array in enumerate(arrays[1:], 1):
            name = f"{result.name}_constant_{index}"
            filler = index == 2
            inputs.append(self.constant(name, array) if array is not None and not filler else "")
        inputs += [""] * (3 - len(inputs))
        inputs[2] = self.constant(f"level_{zero}_scalar", self._type(zero))
        self.add("Pad", inputs, self.name(result))

    def _steps_like(self, value: ir.Value, result: ir.Value) -> str:
        """The integers of a value with the parameters of `result`, which it is moved to."""
        if self.params(value) == self.params(result):
            return self.steps(value)
        name = f"{self.name(value)}/for/{result.name}"
        real = self.add(
            "DequantizeLinear", [self.steps(value), *self.params(value)], f"{name}_real"
        )
        return self.add("QuantizeLinear", [real, *self.params(result)], name)

    def _compute_floats(self, node: ir.Node) -> None:
        name, inputs = node.outputs[0].name or "", []
        for index, value in enumerate(node.inputs):
            array = g.constant(value)
            if array is not None:
                inputs.append(self.constant(f"{name}_constant_{index}", array))
            elif value is None:
                inputs.append("")
            elif value in self._floats:
                inputs.append(_float_name(value))
            else:
                inputs.append(self.dequantized(value, node))
        result = fused(node)
        outputs = [_float_name(value) for value in node.outputs]
        read = [value for _, value in g.data_inputs(node)]
        bare = node.op_type == "Conv" and not all(value in self._floats for value in read)
        if bare or result.activation != "none":
            outputs = [f"{name}_before_{result.activation}"]
        copy = helper.make_node(node.op_type, inputs, outputs, name=where(node))
        copy.attribute.extend(ir.to_proto(node).attribute)
        self._nodes.append(copy)
        if bare:
            self._limit(result.activation, outputs[0], _float_name(result.output))
        elif result.activation != "none":
            self.activate(result.activation, outputs[0], _float_name(result.output))

    def _limit(self, activation: Activation, source: str, output: str) -> None:
        """An activation spelled with Max and Min, or a Max that changes nothing.

        ONNX Runtime quantizes the weights of a float Conv by itself, with one scale for all
        channels, where it reads integers and integers are made of what it gives, directly or
        through Relu or Clip (its WeightBiasQuantization).
        """
        if activation == "none":
            lowest = np.finfo(np.float32).min
            self.add("Max", [source, self.constant("lowest", lowest)], output)
            return
        above = f"{output}_above" if activation == "relu6" else output
        self.add("Max", [source, self.constant("zero", np.float32(0))], above)
        if activation == "relu6":
            self.add("Min", [above, self.constant("six", np.float32(6))], output)


def _float_name(value: ir.Value) -> str:
    return f"{value.name}_float"
