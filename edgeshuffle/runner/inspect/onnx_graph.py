"""Inspect an ONNX file, float, QDQ or QOperator.

A float tensor between DequantizeLinear and QuantizeLinear counts as the integers it stands for,
because that is what a runtime moves once it has fused them.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import onnx
from onnx import TensorProto, helper, inliner, numpy_helper

from edgeshuffle.converter.frontend.onnx_file import CHANNELS, fix_sides
from edgeshuffle.converter.operators import Channels
from edgeshuffle.errors import ModelError
from edgeshuffle.runner.inspect import Grid, Inspection, Requantization, bytes_moved
from edgeshuffle.runner.inspect.dissolved import dissolve
from edgeshuffle.runner.inspect.onnx_kinds import kind_of
from edgeshuffle.runner.inspect.onnx_shapes import infer
from edgeshuffle.runner.inspect.onnx_shuffles import shuffles
from edgeshuffle.runner.operators import known, only_moves
from edgeshuffle.untrusted import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

# Besides those that the operator table has: files of others may hold them.
_KEEPS_VALUES: Final = {"Expand", "Tile", "DepthToSpace", "SpaceToDepth"}


def read(path: Path, resolution: tuple[int, int] | None) -> Inspection:
    """Inspect the file; raises ModelError, also where it leaves open how large its images are."""
    with _readable(path):
        model = onnx.load(path)
    _fix_images(model, path, resolution)
    with _readable(path):
        return _inspected(path, model, resolution)


def load(path: Path) -> OnnxGraph:
    """The file's main graph; raises ModelError."""
    with _readable(path):
        return OnnxGraph(onnx.load(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    # protobuf, onnx and numpy each raise errors of their own for damaged files.
    except Exception as err:
        raise ModelError(
            f"{path} cannot be read as ONNX ({first_line(err)}). Export it again."
        ) from err


def _fix_images(model: onnx.ModelProto, path: Path, resolution: tuple[int, int] | None) -> None:
    """Set the height and width of images, on which MACs and the shapes of shuffles depend."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in constants and len(dims) == 4:
            last = not dims[1].dim_value and dims[3].dim_value in CHANNELS
            fix_sides(dims[1:3] if last else dims[2:], path, resolution)


def _inspected(
    path: Path, model: onnx.ModelProto, resolution: tuple[int, int] | None
) -> Inspection:
    graph = OnnxGraph(model)
    parameters = graph.parameters()
    shuffled = len(shuffles(graph))
    unknown: dict[str, None] = {}
    for node in graph.nodes:
        if _subgraphs(node):
            unknown[f"{node.name or node.op_type} ({node.op_type}: control flow)"] = None

    def total(of: Callable[[onnx.NodeProto], int]) -> int:
        found = 0
        for node in graph.nodes:
            try:
                found += of(node)
            except _UnknownShapeError as err:
                unknown[f"{node.name or node.op_type} ({node.op_type}: shape of {err})"] = None
        return found

    return Inspection(
        format="onnx",
        ops=dict(sorted(Counter(_all_ops(graph.nodes)).items())),
        macs=total(graph.macs) // graph.batch,
        batch=graph.batch,
        parameters=sum(math.prod(constant.dims) for constant in parameters),
        weight_bytes=sum(_size(constant) for constant in parameters),
        moved_bytes=total(graph.moved),
        requantizations=tuple(graph.requantizations()),
        wide_tensors=tuple(name for name, dims in graph.shapes.items() if len(dims) > 4),
        transposes=sum(node.op_type == "Transpose" for node in graph.nodes),
        inputs=graph.ends(graph.inputs),
        outputs=graph.ends(graph.outputs),
        unknown=tuple(unknown),
        shuffles=shuffled,
        dissolved=dissolve(path, resolution, _counts) if shuffled else None,
    )


def _counts(model: onnx.ModelProto) -> tuple[int, int, int]:
    """Shuffles, operators that move data, and the bytes that these move."""
    graph = OnnxGraph(model)
    moving = [node for node in graph.nodes if _moves(node)]
    return len(shuffles(graph)), len(moving), sum(map(graph.moved, moving))


def _moves(node: onnx.NodeProto) -> bool:
    operator = known(kind_of(node).name)
    return operator is not None and (operator.channels is Channels.MOVES or operator.copies)


def _subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]


def _all_ops(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Of control flow's inner graphs, too."""
    for node in nodes:
        if node.op_type != "Constant":
            yield node.op_type
        for graph in _subgraphs(node):
            yield from _all_ops(graph.node)


class _UnknownShapeError(Exception):
    """The shape of this tensor is only known when the file runs."""


class OnnxGraph:
    """The main graph with its constants, shapes and links."""

    def __init__(self, model: onnx.ModelProto) -> None:
        if model.functions:
            model = inliner.inline_local_functions(model)
        self.constants: dict[str, TensorProto] = {t.name: t for t in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        for node in model.graph.node:
            if node.op_type != "Constant":
                self.nodes.append(node)
            elif node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        given = [value.name for value in model.graph.input]
        self.inputs = [name for name in given if name not in self.constants]
        self.outputs = [value.name for value in model.graph.output]
        self.shapes, self.types = infer(model)
        for name, constant in self.constants.items():
            self.shapes[name], self.types[name] = tuple(constant.dims), constant.data_type

    @property
    def batch(self) -> int:
        """Images an inference."""
        shape = self.shapes.get(self.inputs[0], ()) if self.inputs else ()
        return max(1, shape[0]) if len(shape) == 4 else 1

    def ends(self, names: Iterable[str]) -> dict[str, tuple[int, ...] | None]:
        """Inputs or outputs with their shapes, None where these are open."""
        return {name: self.shapes.get(name) for name in names}

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self.shapes:
            raise _UnknownShapeError(name)
        return self.shapes[name]

    def macs(self, node: onnx.NodeProto) -> int:
        kind = kind_of(node)
        operator = known(kind.name)
        if operator is None or not operator.multiplies:
            return 0
        output = self.shape(node.output[0])
        return operator.macs([self.shape(name) for name in kind.inputs[:2]], output)

    def constant(self, name: str) -> TensorProto | None:
        """The stored tensor behind a name, also through DequantizeLinear and the like."""
        while name not in self.constants:
            node = self.producer.get(name)
            if node is None or node.op_type not in ("DequantizeLinear", "Identity", "Cast"):
                return None
            name = node.input[0]
        return self.constants[name]

    def parameters(self) -> list[TensorProto]:
        """Stored weights and biases, each once."""
        found: dict[int, TensorProto] = {}
        for node in self.nodes:
            for name in filter(None, kind_of(node).weights):
                constant = self.constant(name)
                if constant is not None:
                    found[id(constant)] = constant
        return list(found.values())

    def moved(self, node: onnx.NodeProto) -> int:
        kind = kind_of(node)
        operator = known(kind.name)
        if operator is None or not operator.copies:
            return 0
        inputs = [name for name in kind.data if self.constant(name) is None]
        if not inputs:
            return 0
        outputs = [name for name in node.output if name]
        return bytes_moved(sum(map(self._bytes, inputs)), sum(map(self._bytes, outputs)))

    def _bytes(self, name: str) -> int:
        """A tensor's size as the integers it stands for, where there are any."""
        producer = self.producer.get(name)
        readers = self.readers.get(name, [])
        kind = self.types.get(name, TensorProto.UNDEFINED)
        if producer is not None and producer.op_type == "DequantizeLinear":
            kind = self.types.get(producer.input[0], kind)
        elif readers and all(reader.op_type == "QuantizeLinear" for reader in readers):
            kind = self.types.get(readers[0].output[0], kind)
        return math.prod(self.shape(name)) * _itemsize(kind)

    def requantizations(self) -> Iterator[Requantization]:
        for node in self.nodes:
            if node.op_type == "QuantizeLinear":
                target = self._grid(*node.input[1:3])
                sources = list(self._sources(node.input[0]))
                mover = self.producer.get(node.input[0], node).op_type
                op = node.op_type if mover == "DequantizeLinear" else mover
            elif node.op_type == "QLinearConcat":
                target = self._grid(*node.input[:2])
                pairs = zip(node.input[3::3], node.input[4::3], strict=True)
                sources = [self._grid(*pair) for pair in pairs]
                op = node.op_type
            else:
                continue
            known = tuple(sorted({source for source in sources if source is not None}))
            if target is not None and any(source != target for source in known):
                yield Requantization(op=op, output=node.output[0], sources=known, target=target)

    def _sources(self, name: str) -> Iterator[Grid | None]:
        """Grids of the integers whose values reach a float tensor unchanged."""
        node = self.producer.get(name)
        if node is None:
            return
        if node.op_type == "DequantizeLinear":
            if self.constant(name) is None:
                yield self._grid(*node.input[1:3])
        elif node.op_type in _KEEPS_VALUES or only_moves(node.op_type):
            for source in kind_of(node).data:
                yield from self._sources(source)

    def _grid(self, scale: str, zero_point: str = "") -> Grid | None:
        """A per-tensor grid from its constants; None where they are not constant scalars."""
        steps = self._scalar(scale)
        if steps is None:
            return None
        if not zero_point:
            return Grid("uint8", float(steps), 0)
        zero = self._scalar(zero_point)
        return None if zero is None else Grid(str(zero.dtype), float(steps), int(zero))

    def _scalar(self, name: str) -> Any:
        constant = self.constants.get(name)
        if constant is None:
            return None
        values = numpy_helper.to_array(constant)
        return values.reshape(-1)[0] if values.size == 1 else None


def _itemsize(kind: int) -> int:
    if kind == TensorProto.UNDEFINED:
        return 4
    itemsize: int = helper.tensor_dtype_to_np_dtype(kind).itemsize
    return itemsize


def _size(constant: TensorProto) -> int:
    elements: int = math.prod(constant.dims)
    return elements * _itemsize(constant.data_type)
