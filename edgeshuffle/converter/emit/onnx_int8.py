"""INT8 ONNX in QDQ or QOperator style, with layers left in float.

Activations are the plan's int8 numbers, or uint8 with zero point + 128, which is the same with the
top bit flipped: ONNX Runtime's kernels for x86, and those for ARM without dot products, take fewer
instructions for u8 x s8. Operators that only move or compare elements work on the integers
themselves in both styles, so a runtime needs no fusion to run them on a byte an element. (ONNX
operators QuantizeLinear, DequantizeLinear, QLinearConv; com.microsoft.QLinearGlobalAveragePool.)
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.onnx_float import finished
from edgeshuffle.converter.emit.onnx_integers import Integers, float_name
from edgeshuffle.converter.emit.onnx_names import name_ends
from edgeshuffle.converter.emit.onnx_pixels import TO_NCHW, set_pixels
from edgeshuffle.converter.operators import OPSET, Activation, operator_of, where
from edgeshuffle.converter.operators.fused import fused, is_fused
from edgeshuffle.converter.plan import QMAX, QMIN

_MICROSOFT: Final = "com.microsoft"
_LITTLE: Final = 1e-6
# Names that no graph has, until every other name is known.
_INPUT, _OUTPUT = "\0input", "\0output"


class Int8Writer(Integers):
    """What operators write themselves through."""

    def proto(self, *, pixels: bool = False) -> onnx.ModelProto:
        """The whole file; with `pixels` it reads these, as uint8 NHWC."""
        graph = self.model.graph
        if pixels:
            self._read_pixels(graph.inputs[0])
        else:
            self.quantize(_INPUT, graph.inputs[0])
        for node in graph:
            if is_fused(node) or node in self.written:
                continue
            if fused(node).output in self.floats and not self._is_unrounded(node):
                self._compute_floats(node)
            else:
                operator_of(node).onnx(self, node)
        wanted = {graph.inputs[0].name or "": _INPUT}
        for number, output in enumerate(graph.outputs):
            end = float_name(output)
            if output not in self.floats:
                end = f"{_OUTPUT}{number or ''}"
                self.add("DequantizeLinear", [self.name(output), *self.params(output)], end)
            wanted[output.name or ""] = end
        name_ends(wanted, self.nodes, self.constants)
        opsets = [("", OPSET)]
        if any(node.domain == _MICROSOFT for node in self.nodes):
            opsets.append((_MICROSOFT, 1))
        proto = finished(self.model, self.nodes, list(self.constants.values()), opsets)
        if pixels:
            set_pixels(proto)
        return proto

    def _read_pixels(self, value: ir.Value) -> None:
        """Pixels are the integers themselves, where these are uint8 with the scale 1."""
        if self.kind is np.uint8:
            self.add("Transpose", [_INPUT], self.name(value), perm=TO_NCHW)
            return
        moved = self.add("Transpose", [_INPUT], f"{value.name}_moved", perm=TO_NCHW)
        one, zero = self.constant("one", np.float32(1)), self.constant("no_level", np.uint8(0))
        real = self.add("DequantizeLinear", [moved, one, zero], float_name(value))
        self.quantize(real, value)

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
        self.nodes[-1].attribute.extend(ir.to_proto(node).attribute)
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
            self.nodes[-1].attribute.extend(ir.to_proto(node).attribute)

    def microsoft(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append an operator that is ONNX Runtime's own."""
        self.add(op, inputs, output, domain=_MICROSOFT, **attributes)

    def clamp(self, node: ir.Node, low: float, high: float) -> None:
        """A Clip of integers that share one scale, at those of the limits."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        params = self.plan.activations[result.name or ""]
        # Not of infinity, which has none.
        ends = [
            end if math.isinf(limit) else round(limit / params.scale) + params.zero_point
            for limit, end in ((low, QMIN), (high, QMAX))
        ]
        limits = [
            self.constant(f"level_{level}", self.kind(level))
            for level in (min(max(end, QMIN), QMAX) + self.offset for end in ends)
        ]
        self.add("Clip", [self.steps_like(source, result), *limits], self.name(result))

    def move(self, node: ir.Node) -> None:
        """The node's own operator, on integers."""
        inputs = []
        for value in node.inputs:
            array = g.constant(value)
            if value is None:
                inputs.append("")
            elif array is None:
                inputs.append(self.steps_like(value, node.outputs[0]))
            else:
                inputs.append(self.constant(value.name or "", array))
        outputs = [self.name(value) for value in node.outputs]
        copy = helper.make_node(node.op_type, inputs, outputs, name=where(node))
        copy.attribute.extend(ir.to_proto(node).attribute)
        self.nodes.append(copy)

    def interpolate(self, node: ir.Node) -> None:
        """The node's own operator on the integers as floats from 0 on, rounding halves up.

        Halves are common, and XNNPACK rounds them up; QuantizeLinear rounds them to even.
        """
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        low = self.constant("lowest_level", self.kind(np.iinfo(self.kind).min))
        one = self.constant("one", np.float32(1))
        near = self.constant("nearly_one", np.float32(1 - _LITTLE))
        steps = self.steps_like(source, result)
        inputs = [self.add("DequantizeLinear", [steps, one, low], f"{result.name}_levels")]
        for index, value in enumerate(node.inputs[1:], 1):
            array = g.constant(value)
            name = f"{result.name}_constant_{index}"
            inputs.append("" if array is None else self.constant(name, array))
        real = self.add(node.op_type, inputs, f"{result.name}_real")
        self.nodes[-1].attribute.extend(ir.to_proto(node).attribute)
        self.add("QuantizeLinear", [real, near, low], self.name(result))

    def pad(self, node: ir.Node) -> None:
        """A Pad with the integer that stands for 0."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        arrays = [g.constant(value) for value in node.inputs]
        inputs = [self.steps_like(source, result)]
        zero = self.plan.activations[result.name or ""].zero_point + self.offset
        for index, array in enumerate(arrays[1:], 1):
            name = f"{result.name}_constant_{index}"
            filler = index == 2
            inputs.append(self.constant(name, array) if array is not None and not filler else "")
        inputs += [""] * (3 - len(inputs))
        inputs[2] = self.constant(f"level_{zero}_scalar", self.kind(zero))
        self.add("Pad", inputs, self.name(result))

    def _is_unrounded(self, node: ir.Node) -> bool:
        conv = self.plan.convs.get(node.outputs[0].name or "")
        return conv is not None and conv.unrounded

    def _compute_floats(self, node: ir.Node) -> None:
        name, inputs = node.outputs[0].name or "", []
        for index, value in enumerate(node.inputs):
            array = g.constant(value)
            if array is not None:
                inputs.append(self.constant(f"{name}_constant_{index}", array))
            elif value is None:
                inputs.append("")
            elif value in self.floats:
                inputs.append(float_name(value))
            else:
                inputs.append(self.dequantized(value, node))
        result = fused(node)
        outputs = [float_name(value) for value in node.outputs]
        read = [value for _, value in g.data_inputs(node)]
        bare = node.op_type == "Conv" and not all(value in self.floats for value in read)
        if bare or result.activation != "none":
            outputs = [f"{name}_before_{result.activation}"]
        copy = helper.make_node(node.op_type, inputs, outputs, name=where(node))
        copy.attribute.extend(ir.to_proto(node).attribute)
        self.nodes.append(copy)
        if bare:
            self._limit(result.activation, outputs[0], float_name(result.output))
        elif result.activation != "none":
            self.activate(result.activation, outputs[0], float_name(result.output))

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
