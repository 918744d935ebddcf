"""Slice: a part of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import AlongAxis, argument, by_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Slice(AlongAxis):
    """Along any axes."""

    def check(self, node: ir.Node) -> str | None:
        """From constant places, forwards."""
        given = node.inputs[1:]
        if any(value is not None and g.constant(value) is None for value in given):
            return "cuts at places that are not constant"
        source = node.inputs[0]
        assert source is not None
        if any(part.step < 0 for part in cuts(node, g.shape_of(source))):
            return "goes backwards, which is not supported"
        return super().check(node)

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Sliced along any axes."""
        return [elements[0][cuts(node, elements[0].shape)]]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Sliced along the axes of every image."""
        source = node.inputs[0]
        assert source is not None
        images = by_image(inputs[0], source)
        return [images[:, *cuts(node, images.shape[1:])].flatten(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """SLICE, or STRIDED_SLICE in steps."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        shape = g.shape_of(source)
        parts = [part.indices(size) for part, size in zip(cuts(node, shape), shape, strict=True)]
        if all(step == 1 for _, _, step in parts):
            cut(writer, source, [start for start, _, _ in parts], result)
            return
        ordered = [parts[axis] for axis in writer.order(source)]
        ends = [
            writer.ints(f"{result.name}_{name}", *numbers)
            for name, numbers in zip(
                ("begin", "end", "step"), zip(*ordered, strict=True), strict=True
            )
        ]
        writer.operator(
            "STRIDED_SLICE",
            [writer.read(source, result), *ends],
            [writer.value(result)],
            "StridedSliceOptions",
            version=writer.version(2),
        )


def cuts(node: ir.Node, shape: Sequence[int]) -> tuple[slice, ...]:
    """What a Slice takes of each axis."""
    starts, ends, axes, steps = (argument(node, position) for position in (1, 2, 3, 4))
    assert starts is not None
    assert ends is not None
    found = [slice(None, None, 1)] * len(shape)
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        axis = i if axes is None else int(axes[i])
        step = 1 if steps is None else int(steps[i])
        # ONNX marks "to the very first element" by an end below -size; Python needs None.
        found[axis] = slice(start, None if step < 0 and end < -shape[axis] else end, step)
    return tuple(found)


def cut(writer: NhwcWriter, source: ir.Value, starts: Sequence[int], result: ir.Value) -> None:
    """Write a SLICE of what begins at `starts`, of the shape of `result`."""
    begin = writer.ints(f"{result.name}_begin", *(starts[axis] for axis in writer.order(source)))
    size = writer.ints(f"{result.name}_size", *g.nhwc(g.shape_of(result)))
    writer.operator(
        "SLICE",
        [writer.read(source, result), begin, size],
        [writer.value(result)],
        "SliceOptions",
        version=writer.version(2),
    )


OPERATOR: Final = Slice()
