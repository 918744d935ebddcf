"""A user's own .onnx file to an ONNX model with one fixed-size image as input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import checker, shape_inference, version_converter

from edgeshuffle.errors import ModelError
from edgeshuffle.operators import OPSET

if TYPE_CHECKING:
    from pathlib import Path


def read_onnx(path: Path, resolution: int | None) -> onnx.ModelProto:
    """Read, check, fix the input to (1, C, R, R) and convert to the opset used here.

    `resolution` is needed only where the file leaves height and width open. Raises ModelError.
    """
    if not path.is_file():
        raise ModelError(f"There is no ONNX model at {path}. Check the path given to --onnx.")
    try:
        proto = onnx.load(path)
        checker.check_model(proto)
    except Exception as err:  # protobuf and the checker raise many types for a bad file
        first = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise ModelError(f"{path} is not a valid ONNX model ({first[:200]}).") from err
    _fix_input(proto, path, resolution)
    version = next((e.version for e in proto.opset_import if e.domain in ("", "ai.onnx")), 0)
    if version != OPSET:
        try:
            proto = version_converter.convert_version(proto, OPSET)
        except Exception as err:
            first = (str(err).strip() or type(err).__name__).splitlines()[0]
            raise ModelError(
                f"{path} cannot be converted from opset {version} to {OPSET} ({first[:200]}). "
                f"Export it with opset {OPSET}."
            ) from err
    return shape_inference.infer_shapes(proto, strict_mode=False)


def _fix_input(proto: onnx.ModelProto, path: Path, resolution: int | None) -> None:
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(proto.graph.output) != 1:
        raise ModelError(
            f"{path} has {len(inputs)} inputs and {len(proto.graph.output)} outputs; an image "
            "classifier has one of each."
        )
    tensor = inputs[0].type.tensor_type
    if len(tensor.shape.dim) != 4 or tensor.elem_type != onnx.TensorProto.FLOAT:
        raise ModelError(
            f"{path}: the input '{inputs[0].name}' is not a float32 (N, C, H, W) image batch."
        )
    batch, channels, *sides = tensor.shape.dim
    if channels.dim_value != 3:
        raise ModelError(
            f"{path}: the input '{inputs[0].name}' has {channels.dim_value or 'unknown'} channels "
            "where 3 are expected; models must read RGB in (N, C, H, W) order."
        )
    if batch.dim_value > 1:
        raise ModelError(f"{path} has a fixed batch of {batch.dim_value}. Export it with batch 1.")
    batch.dim_value = 1
    for side in sides:
        if side.dim_value == 0 and resolution is None:
            raise ModelError(f"{path} leaves its input size open. Give it with --resolution.")
        if side.dim_value not in (0, resolution or side.dim_value):
            raise ModelError(
                f"{path} is fixed to {side.dim_value} pixels, not {resolution}. Leave "
                "--resolution out or export the model anew."
            )
        side.dim_value = side.dim_value or resolution or 0
    if sides[0].dim_value != sides[1].dim_value:
        raise ModelError(
            f"{path}: the input is {sides[0].dim_value}x{sides[1].dim_value}; only square inputs "
            "are supported."
        )
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    del proto.graph.value_info[:]
