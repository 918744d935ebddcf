"""ONNX values as tensors of a TFLite file: NHWC where they have rank 4, in ONNX order elsewhere.

What only reshapes and transposes is not written where it stands. A value is the elements of some
tensor in an order, which is known by their numbers, and operators on single elements work on the
tensor as it is. Whoever needs a value's own shape and order gets them by the fewest operators.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle.artifact import TensorInfo
from edgeshuffle.artifact.manifest import layout_of
from edgeshuffle.converter import graph as g
from edgeshuffle.converter.emit.flatbuffer import FlatBuffer
from edgeshuffle.converter.emit.rearrange import Step, rearrangement
from edgeshuffle.converter.operators import operator_of
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.precision import float_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QParams, QuantPlan


class Home(NamedTuple):
    """Where a value's elements are: the numbers that they have in another value's tensor."""

    owner: ir.Value
    numbers: np.ndarray


class Tensors:
    """A TFLite file in the making.

    `plan` is that of the operator being written: None while it computes floats. Values that it
    reads in the other form are converted, once.
    """

    def __init__(self, plan: QuantPlan | None, graph: ir.Graph, *, half: bool = False) -> None:
        self.buffer = FlatBuffer(half=half)
        self.plan = self._whole = plan
        self._floats = frozenset() if plan is None else float_values(graph, plan)
        self._index: dict[ir.Value, int] = {}
        self._shapes: dict[ir.Value, tuple[int, ...]] = {}
        self._homes: dict[ir.Value, Home] = {}
        self._converted: dict[tuple[ir.Value, QParams | None], int] = {}
        self._arranged: dict[tuple[ir.Value, QParams | None], int] = {}

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

    def value(self, value: ir.Value) -> int:
        """Add the tensor that an operator computes."""
        return self._own(value, g.nhwc(g.shape_of(value)))

    def like(self, value: ir.Value, length: int, name: str, axis: int = -1) -> int:
        """Add a tensor of a value's quantization and shape but for one axis of its tensor."""
        shape = list(g.nhwc(g.shape_of(value)))
        shape[axis] = length
        return self._tensor(name, shape, self._params(value))

    def read(self, value: ir.Value, moved_to: ir.Value | None = None) -> int:
        """The tensor of a value in the form that the operator reads.

        An operator that moves elements to `moved_to` reads them with the parameters of that.
        """
        return self._read(value, self._params(value if moved_to is None else moved_to))

    def inner(self, name: str, shape: Sequence[int], params: QParams | None) -> int:
        """Add a tensor between two that are written for one operator."""
        return self._tensor(name, shape, params)

    def shape(self, index: int) -> tuple[int, ...]:
        """Of a tensor."""
        return tuple(int(size) for size in self.buffer.tensors[index].shape)

    def parameters(self, value: ir.Value) -> QParams | None:
        """Of a value for the operator that is written; None while it computes floats."""
        return self._params(value)

    def alike(self, source: ir.Value, result: ir.Value, *, moved: bool = False) -> tuple[int, int]:
        """The tensors that an operator on single elements reads and gives, in whatever order.

        With `moved` it reads them with the result's parameters.
        """
        owner, numbers = self._homes.get(source, (source, None))
        read = self._in_form(owner, self._params(result if moved else source))
        made = self._own(result, self._shapes[owner], borrowed=numbers is not None)
        if numbers is not None:
            self._homes[result] = Home(result, numbers)
        return read, made

    def along(self, source: ir.Value, axis: int, result: ir.Value) -> tuple[int, int]:
        """The tensors of an operator along an axis, which is the last of both."""
        owner, numbers = self._home(source)
        moved = np.moveaxis(numbers, axis, -1)
        rows = moved.reshape(-1, moved.shape[-1])
        whole = self._shapes[owner][-1] == rows.shape[1] and not (rows[:, 0] % rows.shape[1]).any()
        if whole and (rows == rows[:, :1] + np.arange(rows.shape[1])).all():
            return self.alike(source, result)
        params = self._params(source)
        steps = rearrangement(self._shapes[owner], rows.shape, rows)
        before = self._in_form(owner, params)
        if steps is None:
            before, numbers = self._read(source, params), _numbers(g.shape_of(source))
            rows = np.moveaxis(numbers, axis, -1).reshape(rows.shape)
            steps = rearrangement(g.nhwc(g.shape_of(source)), rows.shape, rows) or []
        read = self._take(before, steps, f"{source.name}_rows", params)
        made = self._own(result, rows.shape, borrowed=True)
        own = np.arange(rows.size).reshape(moved.shape)
        self._homes[result] = Home(result, np.moveaxis(own, -1, axis))
        return read, made

    def move(self, node: ir.Node) -> None:
        """Know a node's output as other shape and order of its input's elements."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        owner, numbers = self._home(source)
        (moved,) = operator_of(node).move(node, [numbers])
        if _steps(self._shapes[owner], moved) is None:
            # From the source's own order there is a way.
            self._index[source] = self._read(source, self._native(source))
            self._shapes[source] = g.nhwc(g.shape_of(source))
            del self._homes[source]
            owner, numbers = self._home(source)
            (moved,) = operator_of(node).move(node, [numbers])
        self._homes[result] = Home(owner, moved)

    def shuffle(self, node: ir.Node) -> bool:
        """Know a node's output likewise, if its elements are the input's in an order of loops."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        owner, numbers = self._home(source)
        (moved,) = operator_of(node).move(node, [numbers])
        if moved.size != numbers.size or _steps(self._shapes[owner], moved) is None:
            return False
        self._homes[result] = Home(owner, moved)
        return True

    def info(self, value: ir.Value) -> TensorInfo:
        """How the manifest describes an input or output."""
        params = self._native(value)
        shape = g.nhwc(g.shape_of(value))
        return TensorInfo(
            name=value.name or "",
            shape=shape,
            dtype=_dtype(value, params).__name__,
            layout=layout_of(len(shape), "NHWC"),
            scale=None if params is None else params.scale,
            zero_point=None if params is None else params.zero_point,
        )

    def end(self, value: ir.Value) -> int:
        """The tensor of an input or output of the graph."""
        return self._read(value, self._native(value))

    def ints(self, name: str, *numbers: int) -> int:
        """Add a constant of int32 numbers, as shapes, axes and offsets are."""
        return self.buffer.constant(name, np.array(numbers, np.int32))

    def _read(self, value: ir.Value, wanted: QParams | None) -> int:
        if value not in self._homes:
            return self._in_form(value, wanted)
        if (value, wanted) not in self._arranged:
            owner, numbers = self._homes[value]
            shape = g.nhwc(g.shape_of(value))
            steps = _steps(self._shapes[owner], numbers) or []
            named = value.is_graph_output() and wanted == self._native(value)
            if named and not steps:
                steps = [Step(shape)]
            name = value.name or "" if named else f"{value.name}_arranged"
            before = self._in_form(owner, wanted)
            self._arranged[value, wanted] = self._take(before, steps, name, wanted)
        return self._arranged[value, wanted]

    def _take(self, index: int, steps: Sequence[Step], name: str, params: QParams | None) -> int:
        """Follow the steps; the last tensor has the name."""
        for number, (shape, perm) in enumerate(steps, 1):
            called = name if number == len(steps) else f"{name}_{number}"
            if perm is None:
                inputs = [index, self.ints("shape", *shape)]
                made = self._tensor(called, shape, params)
                self.operator(
                    "RESHAPE", inputs, [made], "ReshapeOptions", newShape=np.array(shape, np.int32)
                )
            else:
                inputs = [index, self.ints("perm", *perm)]
                made = self._tensor(called, shape, params)
                version = 1 if params is None else 2
                self.operator("TRANSPOSE", inputs, [made], "TransposeOptions", version=version)
            index = made
        return index

    def _in_form(self, value: ir.Value, wanted: QParams | None) -> int:
        """The tensor that a value owns, with these parameters."""
        if self._native(value) == wanted:
            return self._index[value]
        if (value, wanted) not in self._converted:
            kind = "Dequantize" if wanted is None else "Quantize"
            count = sum(known is value for known, _ in self._converted)
            name = f"{value.name}_{kind.lower()}d{count or ''}"
            made = self._tensor(name, self._shapes[value], wanted)
            version = 2 if wanted is None else 1
            self.operator(
                kind.upper(), [self._index[value]], [made], f"{kind}Options", version=version
            )
            self._converted[value, wanted] = made
        return self._converted[value, wanted]

    def _own(self, value: ir.Value, shape: tuple[int, ...], *, borrowed: bool = False) -> int:
        """Add the tensor of a value; `borrowed`: in an order that is not the value's own."""
        name = f"{value.name}_elements" if borrowed else value.name or ""
        params = self._params(value)
        self._index[value] = self.buffer.tensor(name, shape, _dtype(value, params), params)
        self._shapes[value] = shape
        return self._index[value]

    def _home(self, value: ir.Value) -> Home:
        return self._homes.get(value) or Home(value, _numbers(g.shape_of(value)))

    def _native(self, value: ir.Value) -> QParams | None:
        if self._whole is None or value in self._floats:
            return None
        return self._whole.activations[value.name or ""]

    def _params(self, value: ir.Value) -> QParams | None:
        return None if self.plan is None else self.plan.activations[value.name or ""]

    def _tensor(self, name: str, shape: Sequence[int], params: QParams | None) -> int:
        return self.buffer.tensor(name, shape, dtype_of(params), params)


def dtype_of(params: QParams | None) -> type[np.generic]:
    """What a tensor with these parameters consists of."""
    return np.float32 if params is None else np.int8


def _dtype(value: ir.Value, params: QParams | None) -> type[np.generic]:
    """Likewise of a value, which may be numbers that count something."""
    return dtype_of(params) if g.is_float(value) else np.int64


def _numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Those that the elements of a value have in its own tensor."""
    numbers = np.arange(math.prod(shape)).reshape(g.nhwc(shape))
    return numbers.transpose(0, 3, 1, 2) if len(shape) == 4 else numbers


def _steps(before: tuple[int, ...], numbers: np.ndarray) -> list[Step] | None:
    """From a tensor of that shape to the value that consists of these numbers of it."""
    shape = numbers.shape
    after = g.nhwc(shape)
    stored = numbers.transpose(0, 2, 3, 1) if len(shape) == 4 else numbers
    steps = rearrangement(before, after, stored)
    if steps is not None:
        return steps
    plain = rearrangement(before, shape, numbers)
    if plain is None:
        return None
    order = np.arange(numbers.size).reshape(shape).transpose(0, 2, 3, 1)
    return plain + (rearrangement(shape, after, order) or [])
