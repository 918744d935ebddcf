"""ONNX: the float graph as it is, and what every ONNX file has around its nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import IR_VERSION, OPSET


def float_proto(model: ir.Model) -> onnx.ModelProto:
    """The graph without what only the rewrites needed."""
    source = ir.to_proto(model)
    nodes = []
    for node in source.graph.node:
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        del kept.metadata_props[:]
        kept.ClearField("doc_string")
        nodes.append(kept)
    constants = {tensor.name: tensor for tensor in source.graph.initializer}
    for node in model.graph:
        if node.op_type == "Flatten":
            _classify_by_gemm(node, nodes, constants)
    return finished(model, nodes, list(constants.values()), [("", OPSET)])


def _classify_by_gemm(
    flatten: ir.Node, nodes: list[onnx.NodeProto], constants: dict[str, onnx.TensorProto]
) -> None:
    """Write a 1x1 convolution of one pixel and its Flatten as Flatten and Gemm.

    ONNX Runtime multiplies matrices for a convolution with pixels as columns, and fills the columns
    of a tile that one pixel leaves empty.
    """
    result = flatten.inputs[0]
    conv = None if result is None else result.producer()
    if conv is None or conv.op_type != "Conv" or g.sole_consumer(conv.outputs[0]) is not flatten:
        return
    source, weight = conv.inputs[0], g.constant(conv.inputs[1])
    if source is None or weight is None or g.shape_of(source)[2:] != (1, 1):
        return
    if weight.shape[2:] != (1, 1) or g.integer(conv, "group", 1) != 1:
        return
    if any(g.ints(conv, "pads", ())):
        return
    name = f"{conv.inputs[1].name}_matrix" if conv.inputs[1] else ""
    constants[name] = numpy_helper.from_array(np.ascontiguousarray(weight[:, :, 0, 0]), name)
    by_output = {node.output[0]: index for index, node in enumerate(nodes)}
    where_conv = by_output[conv.outputs[0].name or ""]
    where_flatten = by_output[flatten.outputs[0].name or ""]
    row = f"{source.name}_row"
    inputs = [row, name, *nodes[where_conv].input[2:]]
    used = [value for node in nodes for value in node.input]
    if used.count(nodes[where_conv].input[1]) == 1:
        del constants[nodes[where_conv].input[1]]
    nodes[where_conv] = helper.make_node("Flatten", [source.name or ""], [row], name=row)
    nodes[where_flatten] = helper.make_node(
        "Gemm", inputs, [flatten.outputs[0].name or ""], name=conv.name or "classifier", transB=1
    )


def finished(
    model: ir.Model,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    opsets: list[tuple[str, int]],
) -> onnx.ModelProto:
    """A model with the graph's ends, float32 (1, 3, R, R) and (1, num_classes), and these nodes."""
    ends = [
        [helper.make_tensor_value_info(v.name or "", g.type_of(v), g.shape_of(v)) for v in values]
        for values in (model.graph.inputs, model.graph.outputs)
    ]
    inputs, outputs = ends
    known = {domain for domain, _ in opsets}
    used = {node.domain for node in nodes} - known
    others = [item for item in model.graph.opset_imports.items() if item[0] in used]
    graph = helper.make_graph(nodes, "shufflenet", inputs, outputs, constants)
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*opset) for opset in (*opsets, *others)],
        producer_name="edgeshuffle",
    )
    proto.ir_version = IR_VERSION
    return proto
