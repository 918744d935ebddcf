"""The ends of a TFLite file that reads pixels and gives numbers between known limits, as uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact import TensorInfo
from edgeshuffle.artifact.manifest import layout_of
from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, operator_of
from edgeshuffle.converter.plan import QMIN, QParams

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.emit.nhwc import NhwcWriter

# A pixel stands for its number.
_PIXELS: Final = QParams(1.0, 0)


def pixels(writer: NhwcWriter, value: ir.Value) -> tuple[int, TensorInfo]:
    """Add the input, and what makes the value of it.

    From uint8 to int8 by way of floats: XNNPACK makes one operator of the two, in a quarter of the
    instructions that TFLite's own QUANTIZE of integers takes.
    """
    given = _tensor(writer, value, _PIXELS)
    shape = g.nhwc(g.shape_of(value))
    made = writer.value(value)
    _rename(writer, made, f"{value.name}_read")
    real = made
    if writer.parameters(value) is not None:
        real = writer.buffer.tensor(f"{value.name}_real", shape, np.float32)
    writer.operator("DEQUANTIZE", [given], [real], "DequantizeOptions", version=2)
    if real != made:
        writer.operator("QUANTIZE", [real], [made], "QuantizeOptions")
    return given, _info(value, _PIXELS)


def output(writer: NhwcWriter, value: ir.Value) -> tuple[int, TensorInfo]:
    """Floats between the limits of the TFLite 8-bit specification as bytes, others as they are."""
    made, info = writer.end(value), writer.info(value)
    maker = value.producer()
    if info.scale is not None or maker is None or operator_of(maker).scale is not Scale.GIVEN:
        return made, info
    grid = operator_of(maker).grid(maker)
    params = QParams(grid.scale, grid.zero_point - QMIN)
    _rename(writer, made, f"{value.name}_real")
    if maker.op_type == "Softmax":
        made = _with_likeliest_apart(writer, made, f"{value.name}_apart", params.scale)
    given = _tensor(writer, value, params)
    writer.operator("QUANTIZE", [made], [given], "QuantizeOptions")
    return given, _info(value, params)


def _with_likeliest_apart(writer: NhwcWriter, real: int, name: str, step: float) -> int:
    """Floats along whose last axis the largest is a step larger than it was.

    Bytes of a thousand classes are often equal where the floats are not; the likeliest class's own
    is above all others so, however they are rounded.
    """
    shape, buffer = writer.shape(real), writer.buffer
    largest = buffer.tensor(f"{name}_largest", (*shape[:-1], 1), np.float32)
    axis = writer.ints("last_axis", len(shape) - 1)
    writer.operator("REDUCE_MAX", [real, axis], [largest], "ReducerOptions", keepDims=True)
    is_it = buffer.tensor(f"{name}_is_it", shape, np.bool_)
    writer.operator("GREATER_EQUAL", [real, largest], [is_it], "GreaterEqualOptions")
    ones = buffer.tensor(f"{name}_ones", shape, np.float32)
    writer.operator("CAST", [is_it], [ones], "CastOptions")
    steps = buffer.tensor(f"{name}_steps", shape, np.float32)
    factor = buffer.constant(f"{name}_step", np.array([step], np.float32))
    writer.operator("MUL", [ones, factor], [steps], "MulOptions")
    made = buffer.tensor(name, shape, np.float32)
    writer.operator("ADD", [real, steps], [made], "AddOptions")
    return made


def _tensor(writer: NhwcWriter, value: ir.Value, params: QParams) -> int:
    shape = g.nhwc(g.shape_of(value))
    return writer.buffer.tensor(value.name or "", shape, np.uint8, params)


def _rename(writer: NhwcWriter, tensor: int, name: str) -> None:
    writer.buffer.tensors[tensor].name = name.encode()


def _info(value: ir.Value, params: QParams) -> TensorInfo:
    shape = g.nhwc(g.shape_of(value))
    return TensorInfo(
        name=value.name or "",
        shape=shape,
        dtype="uint8",
        layout=layout_of(len(shape), "NHWC"),
        scale=params.scale,
        zero_point=params.zero_point,
    )
