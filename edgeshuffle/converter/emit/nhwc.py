"""What operators ask of a TFLite file: constants on its layout, and the padding of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.tensors import Tensors, dtype_of
from edgeshuffle.converter.operators.sign import is_non_negative
from edgeshuffle.converter.plan import QMIN, params_of_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.operators import Activation
    from edgeshuffle.converter.plan import QConv, QParams, QuantPlan


_ACTIVATIONS: Final[dict[Activation, int]] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


class NhwcWriter(Tensors):
    """What operators write themselves through."""

    same: Final = schema.Padding.SAME
    valid: Final = schema.Padding.VALID

    def __init__(self, plan: QuantPlan | None, graph: ir.Graph, *, half: bool = False) -> None:
        super().__init__(plan, graph, half=half)
        self._padded: dict[tuple[ir.Value, tuple[int, ...], QParams | None], int] = {}

    def activation(self, activation: Activation) -> int:
        """The schema's number of an activation that a convolution computes."""
        return _ACTIVATIONS[activation]

    def integers(self, value: ir.Value) -> tuple[int, QParams]:
        """The tensor of a value in 8 bits for an operator that gives floats, and its parameters."""
        assert self._whole is not None
        params = self._whole.activations[value.name or ""]
        return self._read(value, params), params

    def unrounded(self, node: ir.Node) -> QConv | None:
        """The integers of a Conv that gives its sums as floats; None for all others."""
        conv = None if self._whole is None else self._whole.convs.get(node.outputs[0].name or "")
        return conv if conv is not None and conv.unrounded else None

    def operand(self, node: ir.Node, index: int) -> int:
        """The tensor of an input, which may be constant."""
        value = node.inputs[index]
        assert value is not None
        array = g.constant(value)
        if array is None:
            return self.read(value)
        rank = len(g.shape_of(node.outputs[0]))
        return self.constant(f"{node.outputs[0].name}_constant_{index}", array, rank)

    def constant(self, name: str, array: np.ndarray, rank: int) -> int:
        """Add an operand of a value of this rank, with integers of its own in an INT8 file."""
        stored = array.astype(np.float32).reshape((1,) * (rank - array.ndim) + array.shape)
        if array.size == 1:
            stored = stored.reshape(1)
        elif rank == 4:
            stored = stored.transpose(0, 2, 3, 1)
        if self.plan is None:
            return self.buffer.constant(name, stored)
        params = params_of_range(float(array.min()), float(array.max()))
        scales = np.array([params.scale], np.float32)
        return self.buffer.constant(name, params.quantize(stored), scales, 0, params.zero_point)

    def like_constant(self, name: str, array: np.ndarray, params: QParams | None) -> int:
        """Add a constant of a value's own quantization."""
        if params is None:
            return self.buffer.constant(name, array)
        scales = np.array([params.scale], np.float32)
        return self.buffer.constant(name, params.quantize(array), scales, 0, params.zero_point)

    def order(self, value: ir.Value) -> tuple[int, ...]:
        """Which ONNX axis each axis of a value's tensor is."""
        return tuple(g.nhwc(range(len(g.shape_of(value)))))

    def window(
        self,
        node: ir.Node,
        kernel: Sequence[int],
        moved_to: ir.Value | None = None,
        *,
        lowest: bool = False,
        may_be_same: bool = True,
    ) -> tuple[int, int]:
        """The index of a window operator's input, padded if need be, and its padding mode.

        It is padded with zeros; with `lowest` with the smallest number, unless zero is known to be
        as good.
        """
        source = node.inputs[0]
        assert source is not None
        sizes, results = g.shape_of(source)[2:], g.shape_of(node.outputs[0])[2:]
        strides, pads = g.ints(node, "strides", (1, 1)), g.ints(node, "pads", (0, 0, 0, 0))
        begins, ends, same = [], [], may_be_same
        for size, result, width, stride, begin in zip(
            sizes, results, kernel, strides, pads, strict=False
        ):
            reach = (result - 1) * stride + width - size
            begins.append(begin)
            ends.append(max(reach - begin, 0))
            total = max((-(-size // stride) - 1) * stride + width - size, 0)
            same &= result == -(-size // stride) and begin == total // 2
        if not any(begins + ends):
            return self.read(source, moved_to), schema.Padding.VALID
        if same:
            return self.read(source, moved_to), schema.Padding.SAME
        filled = lowest and not is_non_negative(source)
        return self._pad(source, (*begins, *ends), moved_to, filled), schema.Padding.VALID

    def _pad(
        self, source: ir.Value, pads: tuple[int, ...], moved_to: ir.Value | None, lowest: bool
    ) -> int:
        params = self._params(source if moved_to is None else moved_to)
        key = (source, (*pads, int(lowest)), params)
        if key in self._padded:
            return self._padded[key]
        n, height, width, channels = g.nhwc(g.shape_of(source))
        top, left, bottom, right = pads
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        shape = (n, height + top + bottom, width + left + right, channels)
        inputs = [self.read(source, moved_to), self.buffer.constant("pads", amounts)]
        result = self._tensor(f"{source.name}_pad", shape, params)
        kind = "Pad"
        if lowest:
            kind = "PadV2"
            value = np.array([-np.inf if params is None else QMIN], dtype_of(params))
            scales = None if params is None else np.array([params.scale], np.float32)
            zero = 0 if params is None else params.zero_point
            inputs.append(self.buffer.constant("lowest", value, scales, 0, zero))
        self.operator(kind.upper(), inputs, [result], f"{kind}Options", version=self.version(2))
        self._padded[key] = result
        return result
