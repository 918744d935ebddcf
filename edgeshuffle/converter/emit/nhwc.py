"""ONNX values as NHWC tensors of a TFLite file, and the padding of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle.artifact import TensorInfo
from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.flatbuffer import FlatBuffer
from edgeshuffle.converter.operators import Activation, Scale, operator_of
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.plan import QMIN, params_of_range
from edgeshuffle.converter.precision import float_values
from edgeshuffle.manifest import layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QParams, QuantPlan


_ACTIVATIONS: Final[dict[Activation, int]] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


class NhwcWriter:
    """A TFLite file in the making.

    `plan` is that of the operator being written: None while it computes floats. Values that it
    reads in the other form are converted, once.
    """

    same: Final = schema.Padding.SAME

    def __init__(self, plan: QuantPlan | None, graph: ir.Graph) -> None:
        self.buffer = FlatBuffer()
        self.plan = self._whole = plan
        self._floats = frozenset() if plan is None else float_values(graph, plan)
        self._index: dict[ir.Value, int] = {}
        self._converted: dict[tuple[ir.Value, QParams | None], int] = {}
        self._padded: dict[tuple[ir.Value, tuple[int, ...], QParams | None], int] = {}

    def begin(self, node: ir.Node) -> None:
        """What is read and added from now on belongs to this operator."""
        self.plan = None if fused(node).output in self._floats else self._whole

    def version(self, for_int8: int) -> int:
        """The lowest operator version that has the kernel: 1 for float."""
        return 1 if self.plan is None else for_int8

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str | None = None,
        *,
        version: int = 1,
        **fields: Any,
    ) -> None:
        """Append a builtin operator such as CONV_2D, with the fields of its options' table."""
        made = None
        if options is not None:
            made = options, getattr(schema, f"{options}T")()
            for key, value in fields.items():
                setattr(made[1], key, value)
        self.buffer.operator(name, inputs, outputs, made, version)

    def activation(self, activation: Activation) -> int:
        """The schema's number of an activation that a convolution computes."""
        return _ACTIVATIONS[activation]

    def value(self, value: ir.Value) -> int:
        """Add the tensor that an operator computes."""
        self._index[value] = self._tensor(
            value.name or "", g.nhwc(g.shape_of(value)), self._params(value)
        )
        return self._index[value]

    def like(self, value: ir.Value, channels: int, name: str) -> int:
        """Add a tensor of a value's height, width and quantization with other channels."""
        shape = (*g.nhwc(g.shape_of(value))[:-1], channels)
        return self._tensor(name, shape, self._params(value))

    def read(self, value: ir.Value, moved_to: ir.Value | None = None) -> int:
        """The tensor of a value in the form that the operator reads.

        An operator that moves elements to `moved_to` reads them with the parameters of that.
        """
        native = None if self._whole is None or value in self._floats else self._written(value)
        wanted = self._params(value if moved_to is None else moved_to)
        if native == wanted:
            return self._index[value]
        if (value, wanted) not in self._converted:
            kind = "Dequantize" if wanted is None else "Quantize"
            count = sum(known is value for known, _ in self._converted)
            name = f"{value.name}_{kind.lower()}d{count or ''}"
            made = self._tensor(name, g.nhwc(g.shape_of(value)), wanted)
            version = 2 if wanted is None else 1
            self.operator(
                kind.upper(), [self._index[value]], [made], f"{kind}Options", version=version
            )
            self._converted[value, wanted] = made
        return self._converted[value, wanted]

    def info(self, value: ir.Value) -> TensorInfo:
        """How the manifest describes an input or output."""
        real = self._whole is None or value in self._floats
        params = None if real else self._written(value)
        shape = g.nhwc(g.shape_of(value))
        return TensorInfo(
            name=value.name or "",
            shape=shape,
            dtype=_dtype(params).__name__,
            layout=layout_of(len(shape), "NHWC"),
            scale=None if params is None else params.scale,
            zero_point=None if params is None else params.zero_point,
        )

    def end(self, value: ir.Value) -> int:
        """The tensor of an input or output of the graph."""
        return self._index[value]

    def _written(self, value: ir.Value) -> QParams:
        assert self._whole is not None
        return self._whole.activations[value.name or ""]

    def _params(self, value: ir.Value) -> QParams | None:
        return None if self.plan is None else self.plan.activations[value.name or ""]

    def _tensor(self, name: str, shape: Sequence[int], params: QParams | None) -> int:
        return self.buffer.tensor(name, shape, _dtype(params), params)

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
        whole = array.astype(np.float32).reshape((1,) * (rank - array.ndim) + array.shape)
        stored = whole.transpose(0, 2, 3, 1) if rank == 4 else whole
        if self.plan is None:
            return self.buffer.constant(name, stored)
        params = params_of_range(float(array.min()), float(array.max()))
        scales = np.array([params.scale], np.float32)
        return self.buffer.constant(name, params.quantize(stored), scales, 0, params.zero_point)

    def order(self, value: ir.Value) -> tuple[int, ...]:
        """Which ONNX axis each axis of a value's tensor is."""
        return tuple(g.nhwc(range(len(g.shape_of(value)))))

    def ints(self, name: str, *numbers: int) -> int:
        """Add a constant of int32 numbers, as shapes, axes and offsets are."""
        return self.buffer.constant(name, np.array(numbers, np.int32))

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
        filled = lowest and not _is_non_negative(source)
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
            value = np.array([-np.inf if params is None else QMIN], _dtype(params))
            scales = None if params is None else np.array([params.scale], np.float32)
            zero = 0 if params is None else params.zero_point
            inputs.append(self.buffer.constant("lowest", value, scales, 0, zero))
        self.operator(kind.upper(), inputs, [result], f"{kind}Options", version=self.version(2))
        self._padded[key] = result
        return result


def _dtype(params: QParams | None) -> type[np.generic]:
    return np.float32 if params is None else np.int8


def _is_non_negative(value: ir.Value) -> bool:
    """Whether a value is proved to hold no negative number, so that padding by 0 is harmless."""
    node = value.producer()
    if node is None:
        return False
    if operator_of(node).never_negative:
        return True
    tied = operator_of(node).scale is Scale.TIED
    return tied and all(_is_non_negative(source) for _, source in g.data_inputs(node))
