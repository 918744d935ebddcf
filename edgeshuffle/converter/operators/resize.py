"""Resize: the nearest pixel, or between the four around, as torch exports them.

ONNX has more ways than TFLite to say which place of the input an output pixel has. TFLite's three
are taken where they give the same places, and the nearest pixels are gathered where none does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer

# (alignCorners, halfPixelCenters) of TFLite's operators.
_CONVENTIONS: Final = ((False, False), (False, True), (True, False))
_CLOSE: Final = 1e-4


class Between(NamedTuple):
    """For each pixel of an axis: two neighbours, and how far it is from the first one."""

    low: np.ndarray
    high: np.ndarray
    share: np.ndarray


class Resize(Operator):
    """Height and width."""

    channels = Channels.CHANNELWISE
    scale = Scale.TIED
    between = True
    homogeneous = True

    def check(self, node: ir.Node) -> str | None:
        """Nearest or linear, of height and width, at constant places."""
        mode, where = _text(node, "mode", "nearest"), _text(node, _WHERE, "half_pixel")
        if mode not in ("nearest", "linear") or g.integer(node, "antialias", 0):
            return f"resizes by '{mode}' or with antialiasing; nearest and linear are supported"
        if where not in _PLACES:
            return f"has the coordinates '{where}', which are not supported"
        if all(argument(node, position) is None for position in (2, 3)):
            return "has a size that is not constant"
        source = node.inputs[0]
        assert source is not None
        before, after = g.shape_of(source), g.shape_of(node.outputs[0])
        if len(before) != 4 or before[:2] != after[:2]:
            return "resizes more than height and width"
        if mode == "linear" and _convention(node) is None:
            return "has places between pixels that TFLite does not have"
        return None

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """One axis after the other."""
        import torch

        x = inputs[0]
        for axis in (2, 3):
            low, high, share = (torch.from_numpy(array) for array in _between(node, axis))
            shape = (-1, 1) if axis == 2 else (-1,)
            part = share.float().reshape(shape)
            x = x.index_select(axis, low) * (1 - part) + x.index_select(axis, high) * part
        return [x]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """On integers where pixels are only copied, else on floats of them."""
        if _text(node, "mode", "nearest") == "nearest":
            writer.move(node)
        else:
            writer.interpolate(node)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR, or GATHER of rows and columns."""
        source, result, way = node.inputs[0], node.outputs[0], _convention(node)
        assert source is not None
        read, version = writer.read(source, result), writer.version(2)
        height, width = g.shape_of(result)[2:]
        if way is None:
            shape = list(g.nhwc(g.shape_of(source)))
            shape[1] = height
            rows = writer.inner(f"{result.name}_rows", shape, writer.parameters(result))
            for axis, index, made in ((1, read, rows), (2, rows, writer.value(result))):
                chosen = _between(node, axis + 1).low.tolist()
                picked = writer.ints(f"{result.name}_places_{axis}", *chosen)
                writer.operator(
                    "GATHER", [index, picked], [made], "GatherOptions", axis=axis, version=version
                )
            return
        nearest = _text(node, "mode", "nearest") == "nearest"
        corners, centers = way
        writer.operator(
            "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR",
            [read, writer.ints(f"{result.name}_size", height, width)],
            [writer.value(result)],
            "ResizeNearestNeighborOptions" if nearest else "ResizeBilinearOptions",
            alignCorners=corners,
            halfPixelCenters=centers,
            version=3 if centers else version,
        )


_WHERE: Final = "coordinate_transformation_mode"
_PLACES: Final = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
_ROUNDINGS: Final[dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _text(node: ir.Node, name: str, default: str) -> str:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def _sizes(node: ir.Node, axis: int) -> tuple[int, int, float]:
    """Pixels before and after, and the scale."""
    source = node.inputs[0]
    assert source is not None
    size, result = g.shape_of(source)[axis], g.shape_of(node.outputs[0])[axis]
    scales, axes = argument(node, 2), g.ints(node, "axes", range(4))
    if scales is None or not scales.size:
        return size, result, result / size
    return size, result, float(scales[list(axes).index(axis)]) if axis in axes else 1.0


def _between(node: ir.Node, axis: int) -> Between:
    """Where ONNX finds each pixel."""
    size, result, scale = _sizes(node, axis)
    way, places = _text(node, _WHERE, "half_pixel"), np.arange(result, dtype=np.float64)
    if way == "align_corners":
        places = places * (size - 1) / max(result - 1, 1)
    elif way == "asymmetric":
        places = places / scale
    else:
        places = (places + 0.5) / scale - 0.5
        if way == "pytorch_half_pixel" and result == 1:
            places = 0 * places
    if _text(node, "mode", "nearest") == "nearest":
        found = _ROUNDINGS[_text(node, "nearest_mode", "round_prefer_floor")](places)
        low = np.clip(found, 0, size - 1).astype(np.int64)
        return Between(low, low, np.zeros(result))
    return _linear(places, size)


def _linear(places: np.ndarray, size: int) -> Between:
    inside = np.clip(places, 0, size - 1)
    low = np.floor(inside).astype(np.int64)
    return Between(low, np.minimum(low + 1, size - 1), inside - low)


def _convention(node: ir.Node) -> tuple[bool, bool] | None:
    """TFLite's way of finding the same places along both axes, if there is one."""
    nearest = _text(node, "mode", "nearest") == "nearest"
    for corners, centers in _CONVENTIONS:
        same = True
        for axis in (2, 3):
            size, result, _ = _sizes(node, axis)
            wanted, x = _between(node, axis), np.arange(result, dtype=np.float64)
            ratio = (size - 1) / (result - 1) if corners and result > 1 else size / result
            if nearest:
                # A product may be just below the integer that it would be exactly.
                places = (x + 0.5 if centers else x).astype(np.float32) * np.float32(ratio)
                chosen = np.floor(places + 0.5) if corners else np.floor(places)
                same &= bool((np.clip(chosen, 0, size - 1) == wanted.low).all())
            else:
                found = _linear((x + 0.5) * ratio - 0.5 if centers else x * ratio, size)
                off = (found.low + found.share) - (wanted.low + wanted.share)
                same &= bool((np.abs(off) < _CLOSE).all())
        if same:
            return corners, centers
    return None


OPERATOR: Final = Resize()
