"""A user's own .onnx file to an ONNX model with one fixed-size image as input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import onnx
from onnx import checker, external_data_helper, shape_inference, version_converter

from edgeshuffle.converter.frontend.one_image import of_one_image
from edgeshuffle.converter.operators import OPSET
from edgeshuffle.errors import ModelError
from edgeshuffle.untrusted import first_line, quoted
from edgeshuffle.untrusted.bounds import MAX_BATCH, MAX_INPUT_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_MOST_BYTES: Final = 1 << 30
_MOST_VALUES: Final = 1 << 28
CHANNELS: Final = (1, 3, 4)


def read_onnx(path: Path, resolution: tuple[int, int] | None) -> onnx.ModelProto:
    """Read, check, fix the input to (1, C, H, W) and convert to the opset used here.

    `resolution`, (height, width), is needed only where the file leaves these open. Raises
    ModelError.
    """
    return read_batch(path, resolution)[0]


def read_batch(path: Path, resolution: tuple[int, int] | None) -> tuple[onnx.ModelProto, int]:
    """The same, and how many images the file itself reads at once: 1 where it leaves that open."""
    if not path.is_file():
        raise ModelError(f"There is no ONNX model at {path}. Check the path given to `onnx`.")
    if path.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{path} is larger than {_MOST_BYTES >> 20} MiB. Give a smaller model.")
    try:
        proto = onnx.load(path, load_external_data=False)
        _check_external(proto, path)
        onnx.load_external_data_for_model(proto, str(path.parent))
        checker.check_model(proto)
    except Exception as err:  # protobuf and the checker raise many types for a bad file
        raise ModelError(f"{path} is not a valid ONNX model ({first_line(err, 200)}).") from err
    batch = _fix_input(proto, path, resolution)
    version = next((e.version for e in proto.opset_import if e.domain in ("", "ai.onnx")), 0)
    if version != OPSET:
        try:
            converted = version_converter.convert_version(proto, OPSET)
        except Exception as err:
            raise ModelError(
                f"{path} cannot be converted from opset {version} to {OPSET} "
                f"({first_line(err, 200)}). Export it with opset {OPSET}."
            ) from err
        # The converter forgets other domains than ONNX's own.
        kept = {entry.domain for entry in converted.opset_import}
        converted.opset_import.extend(e for e in proto.opset_import if e.domain not in kept)
        proto = converted
    if batch > 1:
        proto = of_one_image(proto, batch)
    inferred = shape_inference.infer_shapes(proto, strict_mode=False)
    for value in inferred.graph.value_info:
        count = batch * math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        if count > _MOST_VALUES:
            raise ModelError(
                f"{path}: '{quoted(value.name)}' has {count} values, more than {_MOST_VALUES}. "
                "Export the model for smaller images."
            )
    return inferred, batch


def _check_external(proto: onnx.ModelProto, path: Path) -> None:
    """Raise ValueError where weights beside the file are no files, or too large."""
    size = 0
    for tensor in external_data_helper._get_all_tensors(proto):
        if not external_data_helper.uses_external_data(tensor):
            continue
        beside = path.parent / external_data_helper.ExternalDataInfo(tensor).location
        if not beside.is_file():
            raise ValueError(f"its weights '{quoted(beside.name)}' are not beside it")
        size = max(size, beside.stat().st_size)
        if size > _MOST_BYTES:
            raise ValueError(f"its weights '{quoted(beside.name)}' are too large")


def _told(tensor: onnx.TypeProto.Tensor) -> str:
    """Type and shape, such as `uint8 (1, 3, H, W)`."""
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    sides = (str(dim.dim_value or quoted(dim.dim_param) or "?") for dim in tensor.shape.dim)
    return f"{kind} ({', '.join(sides)})"


def fix_sides(
    sides: Sequence[onnx.TensorShapeProto.Dimension],
    path: Path,
    resolution: tuple[int, int] | None,
) -> None:
    """Set the height and width of an input where the file leaves them open; raises ModelError."""
    for side, wanted in zip(sides, resolution or (0, 0), strict=True):
        if side.dim_value == 0 and not wanted:
            raise ModelError(f"{path} leaves its input size open. Give it with `resolution`.")
        if side.dim_value not in (0, wanted or side.dim_value):
            raise ModelError(
                f"{path} is fixed to {side.dim_value} pixels, not {wanted}. Leave "
                "`resolution` out or export the model anew."
            )
        side.dim_value = side.dim_value or wanted


def _fix_input(proto: onnx.ModelProto, path: Path, resolution: tuple[int, int] | None) -> int:
    """Set what the input leaves open, and return its batch; raises ModelError."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    if len(inputs) != 1 or not proto.graph.output:
        raise ModelError(
            f"{path} has {len(inputs)} inputs and {len(proto.graph.output)} outputs; a network "
            "that reads one image and gives something is needed."
        )
    tensor = inputs[0].type.tensor_type
    if len(tensor.shape.dim) != 4 or tensor.elem_type != onnx.TensorProto.FLOAT:
        raise ModelError(
            f"{path}: the input '{quoted(inputs[0].name)}' is {_told(tensor)}, not a float32 "
            "(N, C, H, W) batch of images. Export the model for such an input."
        )
    batch, channels, *sides = tensor.shape.dim
    if channels.dim_value not in CHANNELS:
        raise ModelError(
            f"{path}: the input '{inputs[0].name}' has {channels.dim_value or 'unknown'} channels "
            "where 1 (gray), 3 (RGB or BGR) or 4 (RGBA) are expected; models must read "
            "(N, C, H, W)."
        )
    if batch.dim_value > MAX_BATCH:
        raise ModelError(
            f"{path} has a fixed batch of {batch.dim_value}, more than {MAX_BATCH}. Export it "
            "with batch 1."
        )
    batch.dim_value = max(1, batch.dim_value)
    fix_sides(sides, path, resolution)
    for side in sides:
        if side.dim_value > MAX_INPUT_SIDE:
            raise ModelError(
                f"{path} reads images of {side.dim_value} pixels a side, more than "
                f"{MAX_INPUT_SIDE}. Export it for smaller ones."
            )
    for output in proto.graph.output:
        if output.name not in constants:
            output.type.tensor_type.ClearField("shape")
    del proto.graph.value_info[:]
    return int(batch.dim_value)
