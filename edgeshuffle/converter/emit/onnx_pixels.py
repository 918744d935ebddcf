"""The input of an ONNX file that reads pixels: uint8 NHWC."""

from __future__ import annotations

from typing import Final

from onnx import ModelProto, TensorProto, helper

TO_NCHW: Final = (0, 3, 1, 2)


def set_pixels(proto: ModelProto) -> None:
    """Let the input, which is NCHW, be uint8 NHWC; its readers know."""
    (given,) = proto.graph.input
    n, channels, height, width = (dim.dim_value for dim in given.type.tensor_type.shape.dim)
    shape = (n, height, width, channels)
    given.CopyFrom(helper.make_tensor_value_info(given.name, TensorProto.UINT8, shape))


def read_pixels(proto: ModelProto) -> None:
    """Put before a float graph what makes floats NCHW of the pixels."""
    set_pixels(proto)
    name = proto.graph.input[0].name
    real = f"{name}_real"
    for node in proto.graph.node:
        node.input[:] = [real if value == name else value for value in node.input]
    moved = helper.make_node(
        "Transpose", [name], [f"{name}_moved"], f"{name}/Transpose", perm=TO_NCHW
    )
    cast = helper.make_node("Cast", [f"{name}_moved"], [real], f"{name}/Cast", to=TensorProto.FLOAT)
    nodes = [moved, cast, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
