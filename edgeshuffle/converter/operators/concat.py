"""Concat: of channels, or of the rows of a detector's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import AlongAxis, axis_of, by_image

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter

# XNNPACK's own limit: a longer one falls out of the delegate and cuts it in two.
_MOST_CONCATENATED: Final = 5


class Concat(AlongAxis):
    """Values beside each other."""

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Concatenated along the node's axis."""
        return [np.concatenate(elements, axis_of(node, elements[0].ndim))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Concatenated along the axis of every image."""
        import torch

        images = [
            by_image(x, value) for x, (_, value) in zip(inputs, g.data_inputs(node), strict=True)
        ]
        return [torch.cat(images, 1 + axis_of(node, images[0].ndim - 1)).flatten(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """CONCATENATION, of several steps where there are too many inputs."""
        output = node.outputs[0]
        along = axis_of(node, len(g.shape_of(output)))
        axis = writer.order(output).index(along)
        parts = [
            (writer.read(v, output), g.shape_of(v)[along]) for v in node.inputs if v is not None
        ]
        join(writer, parts, output, axis)


def join(writer: NhwcWriter, parts: list[tuple[int, int]], output: ir.Value, axis: int) -> None:
    """Write `output` as a concatenation of tensors, each with its length, along its axis."""
    while len(parts) > _MOST_CONCATENATED:
        # The neighbours with the least in them, which are copied once more, and no more of them
        # than leave the rest few enough.
        count = min(_MOST_CONCATENATED, len(parts) - _MOST_CONCATENATED + 1)
        starts = range(len(parts) - count + 1)
        first = min(starts, key=lambda i: sum(size for _, size in parts[i : i + count]))
        joined = parts[first : first + count]
        length = sum(size for _, size in joined)
        made = writer.like(output, length, f"{output.name}_{first}_{length}", axis)
        _write(writer, [index for index, _ in joined], made, axis)
        parts[first : first + count] = [(made, length)]
    _write(writer, [index for index, _ in parts], writer.value(output), axis)


def _write(writer: NhwcWriter, parts: list[int], result: int, axis: int) -> None:
    writer.operator(
        "CONCATENATION",
        parts,
        [result],
        "ConcatenationOptions",
        axis=axis,
        version=writer.version(2),
    )


OPERATOR: Final = Concat()
