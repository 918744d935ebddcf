"""Concat: of channels, once the passes are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.whole_channels import WholeChannels, axis_of

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter

# XNNPACK's own limit: a longer one falls out of the delegate and cuts it in two.
_MOST_CONCATENATED: Final = 5


class Concat(WholeChannels):
    """Values beside each other."""

    def move(self, node: ir.Node, elements: list[np.ndarray]) -> list[np.ndarray]:
        """Concatenated along the node's axis."""
        return [np.concatenate(elements, axis_of(node, elements[0].ndim))]

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """Concatenated along the channels."""
        import torch

        return [torch.cat(inputs, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """CONCATENATION, of several steps where there are too many inputs."""
        output = node.outputs[0]
        parts = [(writer.read(v, output), g.shape_of(v)[1]) for v in node.inputs if v is not None]
        while len(parts) > _MOST_CONCATENATED:
            # The neighbours with the fewest channels, which are copied once more, and no more of
            # them than leave the rest few enough.
            count = min(_MOST_CONCATENATED, len(parts) - _MOST_CONCATENATED + 1)
            starts = range(len(parts) - count + 1)
            first = min(starts, key=lambda i: sum(size for _, size in parts[i : i + count]))
            joined = parts[first : first + count]
            channels = sum(size for _, size in joined)
            made = writer.like(output, channels, f"{output.name}_{first}_{channels}")
            _write(writer, [index for index, _ in joined], made)
            parts[first : first + count] = [(made, channels)]
        _write(writer, [index for index, _ in parts], writer.value(output))


def _write(writer: NhwcWriter, parts: list[int], result: int) -> None:
    writer.operator(
        "CONCATENATION", parts, [result], "ConcatenationOptions", axis=3, version=writer.version(2)
    )


OPERATOR: Final = Concat()
