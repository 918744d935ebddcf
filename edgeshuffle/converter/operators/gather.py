"""Gather: slices by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.concat import join
from edgeshuffle.converter.operators.move import AlongAxis, argument, axis_of, by_image

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


# Of 9 runs of 240 channels, slices take a tenth of GATHER's time.
_MOST_RUNS: Final = 16


class Gather(AlongAxis):
    """Of channels, mostly."""

    def check(self, node: ir.Node) -> str | None:
        """By a constant row of numbers."""
        indices = argument(node, 1)
        if indices is None or indices.ndim != 1:
            return "picks by what is no constant row of numbers"
        return super().check(node)

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Picked along the node's axis."""
        indices = argument(node, 1)
        assert indices is not None
        return [np.take(elements[0], indices, axis_of(node, elements[0].ndim))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Picked along the axis of every image."""
        import torch

        source, indices = node.inputs[0], argument(node, 1)
        assert source is not None
        assert indices is not None
        images = by_image(inputs[0], source)
        axis = 1 + axis_of(node, images.ndim - 1)
        picked = torch.from_numpy(indices % images.shape[axis])
        return [images.index_select(axis, picked).flatten(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """SLICE and CONCATENATION, or RESHAPE and TRANSPOSE, which XNNPACK takes; else GATHER."""
        (source, *_), result, indices = node.inputs, node.outputs[0], argument(node, 1)
        assert source is not None
        assert indices is not None
        shape = g.shape_of(source)
        axis = axis_of(node, len(shape))
        chosen = indices % shape[axis]
        begins = np.flatnonzero(np.diff(chosen, prepend=chosen[0] - 2) != 1)
        if len(begins) <= _MOST_RUNS:
            _write_runs(writer, node, chosen, begins)
            return
        if writer.shuffle(node):
            return
        picked = writer.ints(f"{result.name}_indices", *chosen.tolist())
        writer.operator(
            "GATHER",
            [writer.read(source, result), picked],
            [writer.value(result)],
            "GatherOptions",
            axis=writer.order(source).index(axis),
            version=writer.version(2),
        )


def _write_runs(writer: NhwcWriter, node: ir.Node, chosen: np.ndarray, begins: np.ndarray) -> None:
    """Write slices of consecutive numbers, which begin at these places, and join them."""
    (source, *_), result = node.inputs, node.outputs[0]
    assert source is not None
    order, rank = writer.order(result), len(g.shape_of(result))
    axis, parts = order.index(axis_of(node, rank)), []
    read = writer.read(source, result)
    for run in np.split(chosen, begins[1:]):
        name, sizes = f"{result.name}_{run[0]}", list(g.nhwc(g.shape_of(result)))
        sizes[axis] = len(run)
        starts = [int(run[0]) if place == axis else 0 for place in range(rank)]
        part = writer.like(result, len(run), name, axis)
        ends = [writer.ints(f"{name}_begin", *starts), writer.ints(f"{name}_size", *sizes)]
        writer.operator("SLICE", [read, *ends], [part], "SliceOptions", version=writer.version(2))
        parts.append((part, len(run)))
    join(writer, parts, result, axis)


OPERATOR: Final = Gather()
