"""Inspect a TFLite file; the schema's classes ship in ai-edge-litert."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeshuffle.errors import ModelError
from edgeshuffle.runner.inspect import Grid, Inspection, Requantization, bytes_moved
from edgeshuffle.runner.inspect.tflite_shuffles import shuffles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IDENTIFIER: Final = b"TFL3"
_OP_NAMES: Final = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
_TYPE_NAMES: Final = {
    code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)
}
_ITEMSIZE: Final = {
    **dict.fromkeys(("int8", "uint8", "bool"), 1),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 8),
    **dict.fromkeys(("int4", "uint4"), 0.5),
    "int2": 0.25,
}
_CONTROL_FLOW: Final = {"IF", "WHILE", "CALL", "CALL_ONCE"}
_PARAMETERS: Final = {
    **dict.fromkeys(
        ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D", "BATCH_MATMUL"), (1, 2)
    ),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV"), (0, 1)),
    "TRANSPOSE_CONV": (1, 3),
    "PRELU": (1,),
}
# The inputs that hold data; the others are sizes, axes and indices.
_DATA_INPUTS: Final = {"SPLIT": slice(1, 2), "CONCATENATION": slice(None), "PACK": slice(None)}
_COPIES: Final = {
    *("CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER", "GATHER_ND"),
    *("RESHAPE", "TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD", "PACK", "UNPACK"),
}
_KEEPS_VALUES: Final = {
    *_COPIES,
    *("SQUEEZE", "EXPAND_DIMS", "TILE", "BROADCAST_TO", "MAX_POOL_2D"),
    *("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
}


def read(path: Path, resolution: tuple[int, int] | None) -> Inspection:
    """Inspect the file; raises ModelError."""
    if resolution is not None:
        raise ModelError(f"{path} has a fixed input size: leave `resolution` out.")
    with _readable(path):
        graph = TfliteGraph(path.read_bytes())
        return Inspection(
            format="tflite",
            ops=dict(sorted(Counter(graph.all_ops()).items())),
            macs=sum(graph.macs(node) for node in graph.nodes) // graph.batch,
            batch=graph.batch,
            parameters=sum(math.prod(graph.shape(index)) for index in graph.parameters()),
            weight_bytes=sum(graph.bytes(index) for index in graph.parameters()),
            moved_bytes=sum(graph.moved(node) for node in graph.nodes),
            requantizations=tuple(graph.requantizations()),
            wide_tensors=tuple(
                graph.name(index)
                for index in range(len(graph.tensors))
                if len(graph.shape(index)) > 4
            ),
            transposes=sum(graph.op(node) == "TRANSPOSE" for node in graph.nodes),
            inputs=graph.ends(graph.inputs),
            outputs=graph.ends(graph.outputs),
            unknown=tuple(sorted(set(graph.all_ops()) & _CONTROL_FLOW)),
            shuffles=len(shuffles(graph)),
        )


def load(path: Path) -> TfliteGraph:
    """The file's main graph; raises ModelError."""
    with _readable(path):
        return TfliteGraph(path.read_bytes())


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    # The generated reader does not check offsets: a damaged file gives any error at all.
    except Exception as err:
        reason = str(err) if isinstance(err, _NoTfliteError) else repr(err)
        raise ModelError(f"{path} cannot be read as TFLite ({reason}). Export it again.") from err


class _NoTfliteError(Exception):
    """The file is something else."""


class TfliteGraph:
    """The main subgraph of a file with its links."""

    def __init__(self, content: bytes) -> None:
        if content[4:8] != _IDENTIFIER:
            raise _NoTfliteError("it is no TFLite file")
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        graph = model.subgraphs[0]
        self._codes: list[str] = [
            _OP_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
            for code in model.operatorCodes
        ]
        self._buffers = model.buffers
        self.tensors: list[Any] = graph.tensors
        self.nodes: list[Any] = graph.operators
        self.inputs = [int(index) for index in graph.inputs]
        self.outputs = [int(index) for index in graph.outputs]
        self.producer = {index: node for node in self.nodes for index in node.outputs}
        self._others = [node for other in model.subgraphs[1:] for node in other.operators]

    @property
    def batch(self) -> int:
        """Images an inference."""
        shape = self.shape(self.inputs[0]) if self.inputs else ()
        return max(1, shape[0]) if len(shape) == 4 else 1

    @property
    def is_half(self) -> bool:
        """Whether weights are stored as float16."""
        return any(_TYPE_NAMES[self.tensors[i].type] == "float16" for i in self.parameters())

    def all_ops(self) -> Iterator[str]:
        """Of control flow's inner graphs, too."""
        return map(self.op, (*self.nodes, *self._others))

    def ends(self, indices: list[int]) -> dict[str, tuple[int, ...] | None]:
        """Inputs or outputs with their shapes."""
        return {self.name(index): self.shape(index) for index in indices}

    def integers(self, index: int) -> list[int] | None:
        """A stored int32 vector's numbers."""
        data = self._buffers[self.tensors[index].buffer].data
        if data is None or _TYPE_NAMES[self.tensors[index].type] != "int32":
            return None
        return [int(number) for number in np.frombuffer(bytes(data), "<i4")]

    def op(self, node: Any) -> str:
        code: int = node.opcodeIndex
        return self._codes[code]

    def name(self, index: int) -> str:
        name = self.tensors[index].name
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)

    def shape(self, index: int) -> tuple[int, ...]:
        shape = self.tensors[index].shape
        return () if shape is None else tuple(int(size) for size in shape)

    def bytes(self, index: int) -> int:
        kind = _TYPE_NAMES[self.tensors[index].type]
        return math.ceil(math.prod(self.shape(index)) * _ITEMSIZE[kind])

    def is_constant(self, index: int) -> bool:
        buffer = self._buffers[self.tensors[index].buffer]
        # `size` is set where the data lies behind the flatbuffer, in files beyond 2 GB.
        return (buffer.data is not None and len(buffer.data) > 0) or buffer.size > 0

    def grid(self, index: int) -> Grid | None:
        """A per-tensor grid; None for float tensors and per-channel weights."""
        quantization = self.tensors[index].quantization
        scale = None if quantization is None else quantization.scale
        if scale is None or len(scale) != 1:
            return None
        zero_points = quantization.zeroPoint
        zero_point = 0 if zero_points is None or not len(zero_points) else int(zero_points[0])
        return Grid(_TYPE_NAMES[self.tensors[index].type], float(scale[0]), zero_point)

    def macs(self, node: Any) -> int:
        op = self.op(node)
        if op in ("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weight = self.shape(node.inputs[1])
            each = math.prod(weight[1:3] if op == "DEPTHWISE_CONV_2D" else weight[1:])
            if op == "CONV_3D":
                each = math.prod(weight[:4])
        elif op == "BATCH_MATMUL":
            each = self.shape(node.inputs[0])[-2 if node.builtinOptions.adjX else -1]
        else:
            return 0
        return math.prod(self.shape(node.outputs[0])) * each

    def parameters(self) -> list[int]:
        """Tensors of stored weights and biases, each once."""
        found: dict[int, None] = {}
        for node in self.nodes:
            for position in _PARAMETERS.get(self.op(node), ()):
                if position < len(node.inputs) and node.inputs[position] >= 0:
                    index = int(node.inputs[position])
                    producer = self.producer.get(index)
                    if producer is not None and self.op(producer) == "DEQUANTIZE":
                        index = int(producer.inputs[0])
                    if self.is_constant(index):
                        found[index] = None
        return list(found)

    def moved(self, node: Any) -> int:
        if self.op(node) not in _COPIES:
            return 0
        inputs = [index for index in self._data_inputs(node) if not self.is_constant(index)]
        if not inputs:
            return 0
        return bytes_moved(sum(map(self.bytes, inputs)), sum(map(self.bytes, node.outputs)))

    def _data_inputs(self, node: Any) -> list[int]:
        inputs = [int(index) for index in node.inputs]
        return inputs[_DATA_INPUTS.get(self.op(node), slice(1))]

    def requantizations(self) -> Iterator[Requantization]:
        for node in self.nodes:
            op = self.op(node)
            if op == "QUANTIZE":
                sources = list(self._sources(int(node.inputs[0])))
            elif op in _KEEPS_VALUES:
                sources = [self.grid(index) for index in self._data_inputs(node)]
            else:
                continue
            known = tuple(sorted({source for source in sources if source is not None}))
            for index in node.outputs:
                target = self.grid(index)
                # Even a QUANTIZE to the same grid is computed.
                if target is not None and known and (op == "QUANTIZE" or known != (target,)):
                    yield Requantization(
                        op=op, output=self.name(index), sources=known, target=target
                    )

    def _sources(self, index: int) -> Iterator[Grid | None]:
        """Grids of the integers whose values reach a tensor unchanged."""
        node = self.producer.get(index)
        grid = self.grid(index)
        if grid is not None:
            yield grid
        elif node is not None and self.op(node) == "DEQUANTIZE":
            if not self.is_constant(int(node.inputs[0])):
                yield self.grid(int(node.inputs[0]))
        elif node is not None and self.op(node) in _KEEPS_VALUES:
            for source in self._data_inputs(node):
                yield from self._sources(source)
