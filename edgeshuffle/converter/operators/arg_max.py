"""ArgMax: where along an axis the largest value is, the first of several. Computed of floats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import axis_of, by_image
from edgeshuffle.converter.operators.operator import Operator, Scale, shapes

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter

_CHANNELS: Final = 1
_IMAGE_AXES: Final = 4


class ArgMax(Operator):
    """An int64 number, which nothing else than an output takes."""

    scale = Scale.FLOAT

    def check(self, node: ir.Node) -> str | None:
        """The first of equal ones, inside an image, and the other axes in one order everywhere."""
        if g.integer(node, "select_last_index", 0):
            return "takes the last of equal values, which is not supported"
        rank, axis = _rank_and_axis(node)
        kept = len(g.shape_of(node.outputs[0])) == rank
        if axis == 0 or rank > _IMAGE_AXES:
            return f"is along an axis that is not supported ({shapes(node)})"
        if rank == _IMAGE_AXES and axis != _CHANNELS and not kept:
            return "leaves channels before or behind one axis of the picture"
        return None

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Along the axis of every image."""
        source = node.inputs[0]
        assert source is not None
        _, axis = _rank_and_axis(node)
        kept = bool(g.integer(node, "keepdims", 1))
        return [by_image(inputs[0], source).argmax(1 + axis, keepdim=kept).flatten(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """ARG_MAX, which drops the axis, and a RESHAPE where it is kept."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        rank, axis = _rank_and_axis(node)
        place = writer.order(source).index(axis)
        inputs = [writer.read(source), writer.ints(f"{result.name}_axis", place)]
        made = end = writer.value(result)
        kept = len(g.shape_of(result)) == rank
        if kept:
            shape = np.delete(g.nhwc(g.shape_of(source)), place).tolist()
            made = writer.buffer.tensor(f"{result.name}_dropped", shape, np.int64, None)
        kind = writer.buffer.tensors[made].type
        writer.operator("ARG_MAX", inputs, [made], "ArgMaxOptions", outputType=kind)
        if kept:
            sizes = writer.ints(f"{result.name}_shape", *writer.shape(end))
            shape_field = np.array(writer.shape(end), np.int32)
            writer.operator("RESHAPE", [made, sizes], [end], "ReshapeOptions", newShape=shape_field)


def _rank_and_axis(node: ir.Node) -> tuple[int, int]:
    source = node.inputs[0]
    assert source is not None
    rank = len(g.shape_of(source))
    return rank, axis_of(node, rank)


OPERATOR: Final = ArgMax()
