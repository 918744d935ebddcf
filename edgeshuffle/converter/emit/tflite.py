"""TFLite: fp32, or INT8 with int8 ends, with layers left in float, written as a flatbuffer.

Values are NHWC. Everything is rank 4 until the last Reshape, as XNNPACK and the GPU delegates
want it. PyTorch pads both sides of a stride-2 window; TFLite's SAME pads an even size only at the
end, so those windows get a PAD, of just the pixels they really reach, and VALID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.emitted import Emitted
from edgeshuffle.converter.emit.nhwc import NhwcWriter, nhwc
from edgeshuffle.converter.quant.fused import activation_of, fused, is_fused

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_ir as ir

    from edgeshuffle.converter.quant.plan import QuantPlan

SUFFIX: Final = ".tflite"
# XNNPACK's own limit: a longer one falls out of the delegate and cuts it in two.
_MOST_CONCATENATED: Final = 5
_ACTIVATIONS: Final = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def emit(model: ir.Model, plan: QuantPlan | None) -> Emitted:
    """Write fp32 without a plan, else INT8 whose input and output are int8, too."""
    graph = model.graph
    writer = NhwcWriter(plan, graph)
    writer.value(graph.inputs[0])
    for node in graph:
        if not is_fused(node):
            writer.begin(node)
            _EMIT[node.op_type](writer, node)
    ends = [writer.end(graph.inputs[0])], [writer.end(graph.outputs[0])]
    return Emitted(
        writer.buffer.finish(*ends),
        writer.info(graph.inputs[0], "NHWC"),
        writer.info(graph.outputs[0], "NC"),
        writer.buffer.op_counts(),
    )


def _conv(writer: NhwcWriter, node: ir.Node) -> None:
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


def _max_pool(writer: NhwcWriter, node: ir.Node) -> None:
    kernel = g.ints(node, "kernel_shape", ())
    index, padding = writer.window(node, kernel, moved_to=node.outputs[0])
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


def _mean(writer: NhwcWriter, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    options = schema.ReducerOptionsT()
    options.keepDims = True
    writer.buffer.operator(
        "MEAN",
        [writer.read(source), writer.ints("height_width", 1, 2)],
        [writer.value(node.outputs[0])],
        ("ReducerOptions", options),
        writer.version(2),
    )


def _activation(writer: NhwcWriter, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    writer.buffer.operator(
        activation_of(node).upper(),
        [writer.read(source, node.outputs[0])],
        [writer.value(node.outputs[0])],
        version=writer.version(2),
    )


def _concat(writer: NhwcWriter, node: ir.Node) -> None:
    output = node.outputs[0]
    parts = [(writer.read(v, output), g.shape_of(v)[1]) for v in node.inputs if v is not None]
    while len(parts) > _MOST_CONCATENATED:
        # The neighbours with the fewest channels, which are copied once more, and no more of them
        # than leave the rest few enough.
        count = min(_MOST_CONCATENATED, len(parts) - _MOST_CONCATENATED + 1)
        starts = range(len(parts) - count + 1)
        first = min(starts, key=lambda i: sum(size for _, size in parts[i : i + count]))
        joined = parts[first : first + count]
        channels = sum(size for _, size in joined)
        made = writer.like(output, channels, f"{output.name}_{first}_{channels}")
        _concatenate(writer, [index for index, _ in joined], made)
        parts[first : first + count] = [(made, channels)]
    _concatenate(writer, [index for index, _ in parts], writer.value(output))


def _concatenate(writer: NhwcWriter, parts: list[int], result: int) -> None:
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    writer.buffer.operator(
        "CONCATENATION", parts, [result], ("ConcatenationOptions", options), writer.version(2)
    )


def _cut(writer: NhwcWriter, source: ir.Value, start: int, result: ir.Value) -> None:
    begin = writer.ints(f"{result.name}_begin", 0, 0, 0, start)
    size = writer.ints(f"{result.name}_size", *nhwc(g.shape_of(result)))
    writer.buffer.operator(
        "SLICE",
        [writer.read(source, result), begin, size],
        [writer.value(result)],
        ("SliceOptions", schema.SliceOptionsT()),
        writer.version(2),
    )


def _split(writer: NhwcWriter, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    start = 0
    for part in node.outputs:
        _cut(writer, source, start, part)
        start += g.shape_of(part)[1]


def _slice(writer: NhwcWriter, node: ir.Node) -> None:
    source, starts = node.inputs[0], g.constant(node.inputs[1])
    assert source is not None
    assert starts is not None
    channels = g.shape_of(source)[1]
    start = min(int(starts[0]), channels)
    _cut(writer, source, start + channels if start < 0 else start, node.outputs[0])


def _gather(writer: NhwcWriter, node: ir.Node) -> None:
    source, indices = node.inputs[0], g.constant(node.inputs[1])
    assert source is not None
    assert indices is not None
    options = schema.GatherOptionsT()
    options.axis = 3
    channels = g.shape_of(source)[1]
    picked = writer.ints(f"{node.outputs[0].name}_indices", *(indices % channels).tolist())
    writer.buffer.operator(
        "GATHER",
        [writer.read(source, node.outputs[0]), picked],
        [writer.value(node.outputs[0])],
        ("GatherOptions", options),
        writer.version(2),
    )


def _flatten(writer: NhwcWriter, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    shape = g.shape_of(node.outputs[0])
    options = schema.ReshapeOptionsT()
    options.newShape = np.array(shape, np.int32)
    writer.buffer.operator(
        "RESHAPE",
        [writer.read(source, node.outputs[0]), writer.ints("shape", *shape)],
        [writer.value(node.outputs[0])],
        ("ReshapeOptions", options),
    )


_EMIT: Final[dict[str, Callable[[NhwcWriter, ir.Node], None]]] = {
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
