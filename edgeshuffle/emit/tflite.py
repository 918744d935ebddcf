"""TFLite: fp32, or full-integer INT8 with int8 ends, written as a flatbuffer directly.

Values are NHWC. Everything is rank 4 until the last Reshape, as XNNPACK and the GPU delegates
want it. PyTorch pads both sides of a stride-2 window; TFLite's SAME pads an even size only at the
end, so those windows get a PAD, of just the pixels they really reach, and VALID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle import graph as g
from edgeshuffle.artifact import TensorInfo
from edgeshuffle.emit.emitted import Emitted
from edgeshuffle.emit.flatbuffer import FlatBuffer
from edgeshuffle.quant.fused import activation_of, fused, is_fused
from edgeshuffle.quant.plan import QMIN, QuantPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

SUFFIX: Final = ".tflite"
_ACTIVATIONS: Final = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def emit(model: ir.Model, plan: QuantPlan | None, *, style: str = "") -> Emitted:  # noqa: ARG001
    """Write fp32 without a plan, else INT8 whose input and output are int8, too."""
    writer = _Writer(plan)
    graph = model.graph
    writer.value(graph.inputs[0])
    for node in graph:
        if not is_fused(node):
            _EMIT[node.op_type](writer, node)
    ends = [writer.index[graph.inputs[0]]], [writer.index[graph.outputs[0]]]
    return Emitted(
        writer.buffer.finish(*ends),
        writer.info(graph.inputs[0], "NHWC"),
        writer.info(graph.outputs[0], "NC"),
        writer.buffer.op_counts(),
    )


def _nhwc(shape: Sequence[int]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else tuple(shape)


class _Writer:
    def __init__(self, plan: QuantPlan | None) -> None:
        self.plan = plan
        self.buffer = FlatBuffer()
        self.index: dict[ir.Value, int] = {}
        self.padded: dict[tuple[ir.Value, tuple[int, ...], bool], int] = {}

    @property
    def dtype(self) -> type[np.generic]:
        return np.float32 if self.plan is None else np.int8

    def version(self, for_int8: int) -> int:
        """The lowest operator version that has the kernel: 1 for float."""
        return 1 if self.plan is None else for_int8

    def value(self, value: ir.Value) -> int:
        params = None if self.plan is None else self.plan.activations[value.name or ""]
        shape = _nhwc(g.shape_of(value))
        self.index[value] = self.buffer.tensor(value.name or "", shape, self.dtype, params)
        return self.index[value]

    def info(self, value: ir.Value, layout: str) -> TensorInfo:
        params = None if self.plan is None else self.plan.activations[value.name or ""]
        return TensorInfo(
            name=value.name or "",
            shape=_nhwc(g.shape_of(value)),
            dtype=np.dtype(self.dtype).name,
            layout=layout,
            scale=None if params is None else params.scale,
            zero_point=None if params is None else params.zero_point,
        )

    def ints(self, name: str, *numbers: int) -> int:
        return self.buffer.constant(name, np.array(numbers, np.int32))

    def window(
        self, node: ir.Node, kernel: Sequence[int], *, lowest: bool = False
    ) -> tuple[int, int]:
        """The index of a window operator's input, padded if need be, and its padding mode.

        `lowest` pads with the smallest value instead of zero.
        """
        source = node.inputs[0]
        assert source is not None
        sizes, results = g.shape_of(source)[2:], g.shape_of(node.outputs[0])[2:]
        strides, pads = g.ints(node, "strides", (1, 1)), g.ints(node, "pads", (0, 0, 0, 0))
        begins, ends, same = [], [], True
        for size, result, width, stride, begin in zip(
            sizes, results, kernel, strides, pads, strict=False
        ):
            reach = (result - 1) * stride + width - size
            begins.append(begin)
            ends.append(max(reach - begin, 0))
            total = max((-(-size // stride) - 1) * stride + width - size, 0)
            same &= result == -(-size // stride) and begin == total // 2
        if not any(begins + ends):
            return self.index[source], schema.Padding.VALID
        if same:
            return self.index[source], schema.Padding.SAME
        return self._pad(source, (*begins, *ends), lowest=lowest), schema.Padding.VALID

    def _pad(self, source: ir.Value, pads: tuple[int, ...], *, lowest: bool) -> int:
        key = (source, pads, lowest)
        if key in self.padded:
            return self.padded[key]
        n, height, width, channels = _nhwc(g.shape_of(source))
        top, left, bottom, right = pads
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        params = None if self.plan is None else self.plan.activations[source.name or ""]
        shape = (n, height + top + bottom, width + left + right, channels)
        result = self.buffer.tensor(f"{source.name}_pad", shape, self.dtype, params)
        inputs = [self.index[source], self.buffer.constant("pads", amounts)]
        if lowest:
            value = np.array([-np.inf if params is None else QMIN], self.dtype)
            scales = None if params is None else np.array([params.scale], np.float32)
            zero = 0 if params is None else params.zero_point
            inputs.append(self.buffer.constant("lowest", value, scales, 0, zero))
            self.buffer.operator(
                "PADV2", inputs, [result], ("PadV2Options", schema.PadV2OptionsT()), self.version(2)
            )
        else:
            self.buffer.operator(
                "PAD", inputs, [result], ("PadOptions", schema.PadOptionsT()), self.version(2)
            )
        self.padded[key] = result
        return result


def _conv(writer: _Writer, node: ir.Node) -> None:
    result = fused(node)
    weight = g.constant(node.inputs[1])
    assert weight is not None
    depthwise = g.is_depthwise(node)
    # Conv2D weights are (O, kH, kW, I); depthwise ones (1, kH, kW, O).
    axes, channel_axis = ((1, 2, 3, 0), 3) if depthwise else ((0, 2, 3, 1), 0)
    name = node.outputs[0].name or ""
    if writer.plan is None:
        bias = g.constant(node.inputs[2]) if len(node.inputs) > 2 else None
        offset = np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32)
        weight_index = writer.buffer.constant(f"{name}_weight", weight.transpose(axes))
        bias_index = writer.buffer.constant(f"{name}_bias", offset)
    else:
        conv = writer.plan.convs[name]
        weight_index = writer.buffer.constant(
            f"{name}_weight", conv.weight.transpose(axes), conv.scales, channel_axis
        )
        bias_index = writer.buffer.constant(f"{name}_bias", conv.bias, conv.bias_scales)
    source, padding = writer.window(node, weight.shape[2:])
    options: Any = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    if depthwise:
        options.depthMultiplier = 1
    options.padding = padding
    options.strideH, options.strideW = g.ints(node, "strides", (1, 1))
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = _ACTIVATIONS[result.activation]
    kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2D") if depthwise else ("CONV_2D", "Conv2D")
    writer.buffer.operator(
        kind[0],
        [source, weight_index, bias_index],
        [writer.value(result.output)],
        (f"{kind[1]}Options", options),
        writer.version(3),
    )


def _max_pool(writer: _Writer, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    kernel = g.ints(node, "kernel_shape", ())
    index, padding = writer.window(node, kernel, lowest=not _is_non_negative(source))
    options = schema.Pool2DOptionsT()
    options.padding = padding
    options.strideH, options.strideW = g.ints(node, "strides", (1, 1))
    options.filterHeight, options.filterWidth = kernel
    writer.buffer.operator(
        "MAX_POOL_2D",
        [index],
        [writer.value(node.outputs[0])],
        ("Pool2DOptions", options),
        writer.version(2),
    )


def _is_non_negative(value: ir.Value) -> bool:
    """Whether a value is proved to hold no negative number, so that padding by 0 is harmless."""
    node = value.producer()
    if node is None:
        return False
    if activation_of(node) != "none":
        return True
    moves = node.op_type in ("Concat", "Split", "Slice", "Gather", "MaxPool")
    return moves and all(_is_non_negative(source) for _, source in g.data_inputs(node))


def _mean(writer: _Writer, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    options = schema.ReducerOptionsT()
    options.keepDims = True
    writer.buffer.operator(
        "MEAN",
        [writer.index[source], writer.ints("height_width", 1, 2)],
        [writer.value(node.outputs[0])],
        ("ReducerOptions", options),
        writer.version(2),
    )


def _activation(writer: _Writer, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    writer.buffer.operator(
        activation_of(node).upper(),
        [writer.index[source]],
        [writer.value(node.outputs[0])],
        version=writer.version(2),
    )


def _concat(writer: _Writer, node: ir.Node) -> None:
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    writer.buffer.operator(
        "CONCATENATION",
        [writer.index[value] for value in node.inputs if value is not None],
        [writer.value(node.outputs[0])],
        ("ConcatenationOptions", options),
        writer.version(2),
    )


def _cut(writer: _Writer, source: ir.Value, start: int, result: ir.Value) -> None:
    begin = writer.ints(f"{result.name}_begin", 0, 0, 0, start)
    size = writer.ints(f"{result.name}_size", *_nhwc(g.shape_of(result)))
    writer.buffer.operator(
        "SLICE",
        [writer.index[source], begin, size],
        [writer.value(result)],
        ("SliceOptions", schema.SliceOptionsT()),
        writer.version(2),
    )


def _split(writer: _Writer, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    start = 0
    for part in node.outputs:
        _cut(writer, source, start, part)
        start += g.shape_of(part)[1]


def _slice(writer: _Writer, node: ir.Node) -> None:
    source, starts = node.inputs[0], g.constant(node.inputs[1])
    assert source is not None
    assert starts is not None
    _cut(writer, source, int(starts[0]), node.outputs[0])


def _gather(writer: _Writer, node: ir.Node) -> None:
    source, indices = node.inputs[0], g.constant(node.inputs[1])
    assert source is not None
    assert indices is not None
    options = schema.GatherOptionsT()
    options.axis = 3
    picked = writer.ints(f"{node.outputs[0].name}_indices", *indices.tolist())
    writer.buffer.operator(
        "GATHER",
        [writer.index[source], picked],
        [writer.value(node.outputs[0])],
        ("GatherOptions", options),
        writer.version(2),
    )


def _flatten(writer: _Writer, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    shape = g.shape_of(node.outputs[0])
    options = schema.ReshapeOptionsT()
    options.newShape = np.array(shape, np.int32)
    writer.buffer.operator(
        "RESHAPE",
        [writer.index[source], writer.ints("shape", *shape)],
        [writer.value(node.outputs[0])],
        ("ReshapeOptions", options),
    )


_EMIT: Final[dict[str, Callable[[_Writer, ir.Node], None]]] = {
    "Clip": _activation,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _flatten,
    "Gather": _gather,
    "GlobalAveragePool": _mean,
    "MaxPool": _max_pool,
    "Relu": _activation,
    "Slice": _slice,
    "Split": _split,
}
