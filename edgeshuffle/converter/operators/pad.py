"""Pad: zeros around a value, which integers have exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.operators.operator import Channels, Operator, Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter
    from edgeshuffle.converter.emit.onnx_int8 import Int8Writer


class Pad(Operator):
    """Zeros before and after each axis."""

    channels = Channels.CHANNELWISE
    scale = Scale.TIED
    homogeneous = True
    copies = True

    def check(self, node: ir.Node) -> str | None:
        """Constant amounts of zeros."""
        mode = node.attributes.get("mode")
        filler = argument(node, 2)
        if mode is not None and mode.as_string() != "constant":
            return f"pads by '{mode.as_string()}', where only zeros are supported"
        if filler is not None and filler.any():
            return f"pads with {filler}, where only zeros are supported"
        if amounts(node) is None:
            return "has amounts that are not constant"
        return None if len(g.shape_of(node.outputs[0])) <= 4 else "has a value of more than 4 axes"

    def role(self, node: ir.Node) -> Channels:
        """Channels that are added have a place of their own."""
        found = amounts(node)
        whole = found is not None and len(found) > 1 and not found[1].any()
        return self.channels if whole else Channels.FIXED

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """With zeros around."""
        import torch.nn.functional as F

        found = amounts(node)
        assert found is not None
        # Of the batch there are as many as there are.
        return [F.pad(inputs[0], [int(n) for pair in found[:0:-1] for n in pair])]

    def onnx(self, writer: Int8Writer, node: ir.Node) -> None:
        """On integers, with the zero point."""
        writer.pad(node)

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """PAD."""
        source, result, found = node.inputs[0], node.outputs[0], amounts(node)
        assert source is not None
        assert found is not None
        order = writer.order(result)
        writer.operator(
            "PAD",
            [
                writer.read(source, result),
                writer.buffer.constant("pads", found[list(order)].astype(np.int32)),
            ],
            [writer.value(result)],
            "PadOptions",
            version=writer.version(2),
        )


def amounts(node: ir.Node) -> np.ndarray | None:
    """(rank, 2): before and after each axis; None where they are not constant."""
    given, axes = argument(node, 1), argument(node, 3)
    if given is None or node.inputs[0] is None:
        return None
    rank = len(g.shape_of(node.inputs[0]))
    found = np.zeros((rank, 2), np.int64)
    found[slice(None) if axes is None else axes] = given.reshape(2, -1).T
    return found


OPERATOR: Final = Pad()
