"""ONNX values as NHWC tensors of a TFLite file, and the padding of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle import graph as g
from edgeshuffle.artifact import TensorInfo
from edgeshuffle.emit.flatbuffer import FlatBuffer
from edgeshuffle.quant.plan import QMIN, QuantPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir


def nhwc(shape: Sequence[int]) -> tuple[int, ...]:
    """The NHWC shape of an NCHW one; other ranks stay."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else tuple(shape)


class NhwcWriter:
    """A TFLite file in the making; `index` finds the tensor of every value written so far."""

    def __init__(self, plan: QuantPlan | None) -> None:
        self.plan = plan
        self.buffer = FlatBuffer()
        self.index: dict[ir.Value, int] = {}
        self.padded: dict[tuple[ir.Value, tuple[int, ...], bool], int] = {}

    @property
    def dtype(self) -> type[np.generic]:
        """Of all activations."""
        return np.float32 if self.plan is None else np.int8

    def version(self, for_int8: int) -> int:
        """The lowest operator version that has the kernel: 1 for float."""
        return 1 if self.plan is None else for_int8

    def value(self, value: ir.Value) -> int:
        """Add the tensor that an operator computes."""
        params = None if self.plan is None else self.plan.activations[value.name or ""]
        shape = nhwc(g.shape_of(value))
        self.index[value] = self.buffer.tensor(value.name or "", shape, self.dtype, params)
        return self.index[value]

    def like(self, value: ir.Value, channels: int, name: str) -> int:
        """Add a tensor of a value's height, width and quantization with other channels."""
        params = None if self.plan is None else self.plan.activations[value.name or ""]
        shape = (*nhwc(g.shape_of(value))[:-1], channels)
        return self.buffer.tensor(name, shape, self.dtype, params)

    def info(self, value: ir.Value, layout: str) -> TensorInfo:
        """How the manifest describes an input or output."""
        params = None if self.plan is None else self.plan.activations[value.name or ""]
        return TensorInfo(
            name=value.name or "",
            shape=nhwc(g.shape_of(value)),
            dtype=np.dtype(self.dtype).name,
            layout=layout,
            scale=None if params is None else params.scale,
            zero_point=None if params is None else params.zero_point,
        )

    def ints(self, name: str, *numbers: int) -> int:
        """Add a constant of int32 numbers, as shapes, axes and offsets are."""
        return self.buffer.constant(name, np.array(numbers, np.int32))

    def window(
        self, node: ir.Node, kernel: Sequence[int], *, lowest: bool = False
    ) -> tuple[int, int]:
        """The index of a window operator's input, padded if need be, and its padding mode.

        `lowest` pads with the smallest value instead of zero.
        """
        source = node.inputs[0]
        assert source is not None
        sizes, results = g.shape_of(source)[2:], g.shape_of(node.outputs[0])[2:]
        strides, pads = g.ints(node, "strides", (1, 1)), g.ints(node, "pads", (0, 0, 0, 0))
        begins, ends, same = [], [], True
        for size, result, width, stride, begin in zip(
            sizes, results, kernel, strides, pads, strict=False
        ):
            reach = (result - 1) * stride + width - size
            begins.append(begin)
            ends.append(max(reach - begin, 0))
            total = max((-(-size // stride) - 1) * stride + width - size, 0)
            same &= result == -(-size // stride) and begin == total // 2
        if not any(begins + ends):
            return self.index[source], schema.Padding.VALID
        if same:
            return self.index[source], schema.Padding.SAME
        return self._pad(source, (*begins, *ends), lowest=lowest), schema.Padding.VALID

    def _pad(self, source: ir.Value, pads: tuple[int, ...], *, lowest: bool) -> int:
        key = (source, pads, lowest)
        if key in self.padded:
            return self.padded[key]
        n, height, width, channels = nhwc(g.shape_of(source))
        top, left, bottom, right = pads
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        params = None if self.plan is None else self.plan.activations[source.name or ""]
        shape = (n, height + top + bottom, width + left + right, channels)
        result = self.buffer.tensor(f"{source.name}_pad", shape, self.dtype, params)
        inputs = [self.index[source], self.buffer.constant("pads", amounts)]
        if lowest:
            value = np.array([-np.inf if params is None else QMIN], self.dtype)
            scales = None if params is None else np.array([params.scale], np.float32)
            zero = 0 if params is None else params.zero_point
            inputs.append(self.buffer.constant("lowest", value, scales, 0, zero))
            self.buffer.operator(
                "PADV2", inputs, [result], ("PadV2Options", schema.PadV2OptionsT()), self.version(2)
            )
        else:
            self.buffer.operator(
                "PAD", inputs, [result], ("PadOptions", schema.PadOptionsT()), self.version(2)
            )
        self.padded[key] = result
        return result
