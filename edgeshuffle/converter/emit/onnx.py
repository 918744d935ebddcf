"""ONNX: the float graph as it is, or INT8 in QDQ or QOperator style."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
from onnx import helper

from edgeshuffle.artifact import TensorInfo
from edgeshuffle.artifact.manifest import layout_of
from edgeshuffle.artifact.metadata.onnx import properties
from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.emitted import Emitted
from edgeshuffle.converter.emit.onnx_float import float_proto
from edgeshuffle.converter.emit.onnx_int8 import Int8Writer
from edgeshuffle.converter.emit.onnx_pixels import read_pixels

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.artifact.metadata import Metadata
    from edgeshuffle.converter.plan import QuantPlan

SUFFIX: Final = ".onnx"
# ONNX Runtime computes fp16 on ARM in more instructions than fp32.
PRECISIONS: Final = ("fp32", "int8", "pixels")


def emit(
    model: ir.Model,
    plan: QuantPlan | None,
    *,
    metadata: Metadata | None = None,
    pixels: bool = False,
    style: str = "qdq",
    activations: str = "uint8",
) -> Emitted:
    """Write fp32 without a plan, else INT8 in `style` `qdq` or `qoperator`; float32 ends.

    With `pixels`, the input is uint8 NHWC.
    `metadata` is what the file says of itself, `activations` the type of the integers, `uint8` or
    `int8`.
    """
    if plan is None:
        proto = float_proto(model)
    else:
        proto = Int8Writer(model, plan, style, np.dtype(activations)).proto(pixels=pixels)
    if pixels and plan is None:
        read_pixels(proto)
    if metadata is not None:
        helper.set_model_props(proto, properties(metadata))
    onnx.checker.check_model(proto, full_check=style != "qoperator")
    return Emitted(
        proto.SerializeToString(deterministic=True),
        _pixels(model.graph.inputs[0]) if pixels else _end(model.graph.inputs[0]),
        tuple(_end(value) for value in model.graph.outputs),
        dict(sorted(Counter(node.op_type for node in proto.graph.node).items())),
    )


def _pixels(value: ir.Value) -> TensorInfo:
    shape = g.nhwc(g.shape_of(value))
    return TensorInfo(name=value.name or "", shape=shape, dtype="uint8", layout="NHWC")


def _end(value: ir.Value) -> TensorInfo:
    shape = g.shape_of(value)
    layout = layout_of(len(shape), "NCHW")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(g.type_of(value))).name
    return TensorInfo(name=value.name or "", shape=shape, dtype=dtype, layout=layout)
