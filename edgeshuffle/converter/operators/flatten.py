"""Flatten: only at the output, of one pixel, once the passes are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Scale
from edgeshuffle.converter.operators.reshape import Reshape

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter


class Flatten(Reshape):
    """(1, C, 1, 1) to (1, C)."""

    scale = Scale.TIED

    def check(self, node: ir.Node) -> str | None:
        """At the output only."""
        return None if node.outputs[0].is_graph_output() else "is supported only at the output"

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # noqa: ARG002
        """(N, C H W)."""
        return [inputs[0].flatten(1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """RESHAPE."""
        source, shape = node.inputs[0], g.shape_of(node.outputs[0])
        assert source is not None
        writer.operator(
            "RESHAPE",
            [writer.read(source, node.outputs[0]), writer.ints("shape", *shape)],
            [writer.value(node.outputs[0])],
            "ReshapeOptions",
            newShape=np.array(shape, np.int32),
        )


OPERATOR: Final = Flatten()
