"""Slice: of channels, once the passes are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.whole_channels import WholeChannels, argument

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Slice(WholeChannels):
    """A part of a value."""

    def along_channels(self, node: ir.Node) -> bool:
        """Along axis 1, in steps of 1."""
        axes, steps = (
            None if array is None else array.tolist()
            for array in (argument(node, position) for position in (3, 4))
        )
        return axes in ([1], [-3]) and steps in (None, [1])

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Sliced along any axes."""
        starts, ends, axes, steps = (argument(node, position) for position in (1, 2, 3, 4))
        assert starts is not None
        assert ends is not None
        cut = [slice(None)] * elements[0].ndim
        for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            axis = i if axes is None else int(axes[i])
            step = 1 if steps is None else int(steps[i])
            # ONNX marks "to the very first element" by an end below -size; Python needs None.
            size = elements[0].shape[axis]
            cut[axis] = slice(start, None if step < 0 and end < -size else end, step)
        return [elements[0][tuple(cut)]]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Sliced along the channels."""
        starts, ends = argument(node, 1), argument(node, 2)
        assert starts is not None
        assert ends is not None
        return [inputs[0][:, slice(int(starts[0]), int(ends[0]))]]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """SLICE."""
        source, starts = node.inputs[0], argument(node, 1)
        assert source is not None
        assert starts is not None
        channels = g.shape_of(source)[1]
        start = min(int(starts[0]), channels)
        cut(writer, source, start + channels if start < 0 else start, node.outputs[0])


def cut(writer: NhwcWriter, source: ir.Value, start: int, result: ir.Value) -> None:
    """Write a SLICE of the channels from `start` on, as many as `result` has."""
    begin = writer.ints(f"{result.name}_begin", 0, 0, 0, start)
    size = writer.ints(f"{result.name}_size", *g.nhwc(g.shape_of(result)))
    writer.operator(
        "SLICE",
        [writer.read(source, result), begin, size],
        [writer.value(result)],
        "SliceOptions",
        version=writer.version(2),
    )


OPERATOR: Final = Slice()
