"""ONNX: the float graph as it is, or INT8 in QDQ or QOperator style, with layers left in float.

Activations are the plan's int8 numbers, or uint8 with zero point + 128, which is the same with the
top bit flipped: ONNX Runtime's kernels for x86, and those for ARM without dot products, take fewer
instructions for u8 x s8. Operators that only move or compare elements work on the integers
themselves in both styles, so a runtime needs no fusion to run them on a byte an element. (ONNX
operators QuantizeLinear, DequantizeLinear, QLinearConv; com.microsoft.QLinearGlobalAveragePool.)
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from edgeshuffle.converter import graph as g
from edgeshuffle.artifact import TensorInfo
from edgeshuffle.converter.emit.emitted import Emitted
from edgeshuffle.converter.emit.onnx_float import finished, float_proto
from edgeshuffle.converter.operators import OPSET, where
from edgeshuffle.converter.quant.fused import Activation, activation_of, fused, is_fused
from edgeshuffle.converter.quant.plan import QMAX, QMIN, QParams, QuantPlan
from edgeshuffle.converter.quant.precision import float_values, result_of

SUFFIX: Final = ".onnx"
STYLES: Final = ("qdq", "qoperator")
ACTIVATIONS: Final = ("uint8", "int8")
_MICROSOFT: Final = "com.microsoft"
# Names that no graph has, until every other name is known.
_INPUT, _OUTPUT = "\0input", "\0output"


def emit(
    model: ir.Model, plan: QuantPlan | None, *, style: str = "qdq", activations: str = "uint8"
) -> Emitted:
    """Write fp32 without a plan, else INT8 in `style` `qdq` or `qoperator`; float32 ends.

    `activations` is the type of the integers, `uint8` or `int8`.
    """
    if plan is None:
        proto = float_proto(model)
    else:
        proto = _Quantized(model, plan, style, np.dtype(activations)).proto()
    onnx.checker.check_model(proto, full_check=style != "qoperator")
    return Emitted(
        proto.SerializeToString(deterministic=True),
        _end(model.graph.inputs[0], "NCHW"),
        _end(model.graph.outputs[0], "NC"),
        dict(sorted(Counter(node.op_type for node in proto.graph.node).items())),
    )


def _end(value: ir.Value, layout: str) -> TensorInfo:
    return TensorInfo(
        name=value.name or "", shape=g.shape_of(value), dtype="float32", layout=layout
    )


class _Quantized:
    def __init__(
        self, model: ir.Model, plan: QuantPlan, style: str, activations: np.dtype[Any]
    ) -> None:
        self.model = model
        self.plan = plan
        self.qdq = style == "qdq"
        self.type = activations.type
        self.offset = int(np.iinfo(activations).min) - QMIN
        self.floats = float_values(model.graph, plan)
        self.rounded: set[ir.Value] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def proto(self) -> onnx.ModelProto:
        graph = self.model.graph
        self._add(
            "QuantizeLinear",
            [_INPUT, *self._params(graph.inputs[0])],
            _q(graph.inputs[0]),
        )
        for node in graph:
            if is_fused(node):
                continue
            if result_of(node) in self.floats:
                self._compute_floats(node)
            elif node.op_type == "Conv":
                self._conv(node)
            elif node.op_type == "GlobalAveragePool":
                self._mean(node)
            elif activation_of(node) != "none":
                self._clamp(node)
            else:
                self._move(node)
        output = graph.outputs[0]
        if output not in self.floats:
            self._add("DequantizeLinear", [_q(output), *self._params(output)], _OUTPUT)
        self._name_ends(graph.inputs[0].name or "", output.name or "", _float_name(output))
        opsets = [("", OPSET)]
        if any(node.domain == _MICROSOFT for node in self.nodes):
            opsets.append((_MICROSOFT, 1))
        return finished(self.model, self.nodes, list(self.constants.values()), opsets)

    def _name_ends(self, given: str, returned: str, returned_float: str) -> None:
        """Give the ends the names that users know; whatever else has got one of them steps back."""
        names = {_INPUT: given, _OUTPUT: returned, given: f"{given}_", returned: f"{returned}_"}
        if self.model.graph.outputs[0] in self.floats:
            names[returned_float] = returned
        for node in self.nodes:
            for field in (node.input, node.output):
                field[:] = [names.get(name, name) for name in field]
        self.constants = {names.get(key, key): t for key, t in self.constants.items()}
        for name, tensor in self.constants.items():
            tensor.name = name

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(
            helper.make_node(op, inputs, [output], name=f"{output}/{op}", **attributes)
        )
        return output

    def _constant(self, name: str, array: np.ndarray | np.generic) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _params(self, value: ir.Value) -> list[str]:
        params = self.plan.activations[value.name or ""]
        zero_point = params.zero_point + self.offset
        return [
            self._constant(f"scale_{np.float32(params.scale):.9g}", np.float32(params.scale)),
            self._constant(f"zero_point_{zero_point}", self.type(zero_point)),
        ]

    def _dequantized(self, value: ir.Value, reader: ir.Node) -> str:
        name = f"{value.name}/for/{reader.outputs[0].name}"
        return self._add("DequantizeLinear", [self._steps(value), *self._params(value)], name)

    def _steps(self, value: ir.Value) -> str:
        """The integers of a value; those of floats are made when they are first asked for."""
        if value in self.floats and value not in self.rounded:
            self.rounded.add(value)
            self._add("QuantizeLinear", [_float_name(value), *self._params(value)], _q(value))
        return _q(value)

    def _steps_like(self, value: ir.Value, result: ir.Value) -> str:
        """The integers of a value with the parameters of `result`, which it is moved to."""
        if self._params(value) == self._params(result):
            return self._steps(value)
        name = f"{value.name}_q/for/{result.name}"
        real = self._add(
            "DequantizeLinear", [self._steps(value), *self._params(value)], f"{name}_real"
        )
        return self._add("QuantizeLinear", [real, *self._params(result)], name)

    def _compute_floats(self, node: ir.Node) -> None:
        name, inputs = node.outputs[0].name or "", []
        for index, value in enumerate(node.inputs):
            array = g.constant(value)
            if array is not None:
                inputs.append(self._constant(f"{name}_constant_{index}", array))
            elif value is None:
                inputs.append("")
            elif value in self.floats:
                inputs.append(_float_name(value))
            else:
                inputs.append(self._dequantized(value, node))
        activation = fused(node).activation if node.op_type == "Conv" else "none"
        outputs = [_float_name(value) for value in node.outputs]
        if activation != "none":
            outputs = [f"{name}_before_{activation}"]
        copy = helper.make_node(node.op_type, inputs, outputs, name=where(node))
        copy.attribute.extend(ir.to_proto(node).attribute)
        self.nodes.append(copy)
        if activation != "none":
            self._activate(activation, outputs[0], _float_name(result_of(node)))

    def _conv(self, node: ir.Node) -> None:
        source, result = node.inputs[0], fused(node)
        assert source is not None
        name = node.outputs[0].name or ""
        conv = self.plan.convs[name]
        weight = self._constant(f"{name}_weight", conv.weight)
        scales = self._constant(f"{name}_weight_scale", conv.scales)
        zeros = self._constant(f"{name}_weight_zero_point", np.zeros(len(conv.scales), np.int8))
        bias = self._constant(f"{name}_bias", conv.bias)
        attributes: dict[str, Any] = {
            "kernel_shape": list(conv.weight.shape[2:]),
            "strides": list(g.ints(node, "strides", (1, 1))),
            "pads": list(g.ints(node, "pads", (0, 0, 0, 0))),
            "group": g.integer(node, "group", 1),
        }
        params = self.plan.activations[result.output.name or ""]
        implied = clamp_is_implied(result.activation, params)
        if not self.qdq and implied:
            inputs = [self._steps(source), *self._params(source), weight, scales, zeros]
            inputs += [*self._params(result.output), bias]
            self._add("QLinearConv", inputs, _q(result.output), **attributes)
            return
        bias_scales = self._constant(f"{name}_bias_scale", conv.bias_scales)
        real_weight = self._add(
            "DequantizeLinear", [weight, scales, zeros], f"{name}_weight_real", axis=0
        )
        real_bias = self._add("DequantizeLinear", [bias, bias_scales], f"{name}_bias_real", axis=0)
        inputs = [self._dequantized(source, node), real_weight, real_bias]
        real = self._add("Conv", inputs, f"{name}_real", **attributes)
        if not implied:
            real = self._activate(result.activation, real, f"{real}_{result.activation}")
        self._add("QuantizeLinear", [real, *self._params(result.output)], _q(result.output))

    def _activate(self, activation: Activation, source: str, output: str) -> str:
        if activation == "relu":
            return self._add("Relu", [source], output)
        limits = [self._constant("zero", np.float32(0)), self._constant("six", np.float32(6))]
        return self._add("Clip", [source, *limits], output)

    def _mean(self, node: ir.Node) -> None:
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        if not self.qdq:
            inputs = [self._steps(source), *self._params(source), *self._params(result)]
            self._add(
                "QLinearGlobalAveragePool", inputs, _q(result), domain=_MICROSOFT, channels_last=0
            )
            return
        name = f"{result.name}_real"
        real = self._add("GlobalAveragePool", [self._dequantized(source, node)], name)
        self._add("QuantizeLinear", [real, *self._params(result)], _q(result))

    def _clamp(self, node: ir.Node) -> None:
        """An activation on integers that share one scale: a Clip at the zero point."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        params = self.plan.activations[result.name or ""]
        top = QMAX
        if activation_of(node) == "relu6":
            top = min(QMAX, round(6 / params.scale) + params.zero_point)
        limits = [
            self._constant(f"level_{level}", self.type(level))
            for level in (params.zero_point + self.offset, top + self.offset)
        ]
        self._add("Clip", [self._steps_like(source, result), *limits], _q(result))

    def _move(self, node: ir.Node) -> None:
        inputs = []
        for value in node.inputs:
            assert value is not None
            array = g.constant(value)
            name = value.name or ""
            if array is None:
                inputs.append(self._steps_like(value, node.outputs[0]))
            else:
                inputs.append(self._constant(name, array))
        made = ir.to_proto(node)
        copy = helper.make_node(
            node.op_type, inputs, [_q(value) for value in node.outputs], name=f"{where(node)}"
        )
        copy.attribute.extend(made.attribute)
        self.nodes.append(copy)


def clamp_is_implied(activation: Activation, params: QParams) -> bool:
    """Whether saturating to the output's integers does what the activation function would."""
    if activation == "none":
        return True
    if params.zero_point != QMIN:
        return False
    return activation == "relu" or (QMAX - params.zero_point - 0.5) * params.scale <= 6


def _q(value: ir.Value) -> str:
    return f"{value.name}_q"


def _float_name(value: ir.Value) -> str:
    return f"{value.name}_float"
