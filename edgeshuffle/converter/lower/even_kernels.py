"""Extend kernels by zeros until TFLite's SAME pads as the network does.

PyTorch pads a stride-2 window of 3 by 1 at both sides, SAME an even size only at the end; a window
of 4 it pads by 1 at both sides:

    sum over k < 3 of w[k] x[s j + k - 1] = sum over k < 4 of (w, 0)[k] x[s j + k - 1]

at the price of multiplying zeros. XNNPACK makes a PAD part of the convolution that reads it, in
fp32 and INT8, but not in fp16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.lower.padding import needed

if TYPE_CHECKING:
    from edgeshuffle.converter.lower.draft import Draft

ADDS_CHANNELS: Final = False


def run(draft: Draft) -> int:
    """Every convolution for which one more row, column or both do it."""
    count = 0
    for node in draft.convolutions():
        weight = g.constant(node.inputs[1])
        flat = g.ints(node, "dilations", (1, 1)) == (1, 1)
        if weight is None or not flat or needed(node, weight.shape[2:]) is None:
            continue
        height, width = weight.shape[2:]
        for more in ((1, 1), (1, 0), (0, 1)):
            if needed(node, (height + more[0], width + more[1])) is None:
                _extend(draft, node, weight, more)
                count += 1
                break
    return count


def _extend(draft: Draft, node: ir.Node, weight: np.ndarray, more: tuple[int, int]) -> None:
    source = node.inputs[0]
    assert source is not None

    def wider(rows: np.ndarray) -> np.ndarray:
        return np.pad(rows, [(0, 0), (0, 0), (0, more[0]), (0, more[1])])

    draft.outputs(node, np.arange(len(weight)), wider)
    kernel = tuple(size + one for size, one in zip(weight.shape[2:], more, strict=True))
    strides, pads = g.ints(node, "strides", (1, 1)), g.ints(node, "pads", (0, 0, 0, 0))
    ends = [
        max((result - 1) * stride + wide - size - begin, 0)
        for size, result, stride, wide, begin in zip(
            g.shape_of(source)[2:],
            g.shape_of(node.outputs[0])[2:],
            strides,
            kernel,
            pads[:2],
            strict=True,
        )
    ]
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", kernel)
    node.attributes["pads"] = ir.AttrInt64s("pads", (*pads[:2], *ends))
