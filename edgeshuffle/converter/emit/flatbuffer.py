"""Build a TFLite flatbuffer (schema version 3, file identifier TFL3) from tensors and operators."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeshuffle.converter.plan import QParams

# The schema asks for buffers on multiples of 16 bytes; kernels read weights in place.
_ALIGNMENT: Final = 16
_TYPES: Final = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.bool_): schema.TensorType.BOOL,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}
# Of fewer numbers, the operator that widens them takes more room than they save.
_LEAST_HALVED: Final = 128
# Read by TensorFlow Lite's reduced_precision_metadata.h, which XNNPACK's delegate goes by.
_REDUCED: Final = ("reduced_precision_support", b"fp16accfp16")
# As TensorFlow names it.
_SIGNATURE: Final = b"serving_default"
OPERATOR_NAMES: Final = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
        self.StartVector(x.itemsize, x.size, _ALIGNMENT if x.dtype == np.uint8 else x.itemsize)
        self.head: int = self.head - x.nbytes
        self.Bytes[self.head : self.head + x.nbytes] = x.astype(x.dtype.newbyteorder("<")).tobytes()
        return int(self.EndVector())


class FlatBuffer:
    """One subgraph under construction. Tensors are referred to by their index.

    With `half`, float constants are stored as float16, and processors with fp16 arithmetic are told
    to compute so, with sums in fp16, too.
    """

    def __init__(self, *, half: bool = False) -> None:
        self._half = half
        self.buffers: list[Any] = [schema.BufferT()]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: dict[tuple[int, int], int] = {}
        self.constants: dict[tuple[str, bytes, tuple[int, ...]], int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: type[np.generic],
        params: QParams | None = None,
    ) -> int:
        """A value computed at run time; `params` for int8 and uint8."""
        scales = None if params is None else np.array([params.scale], np.float32)
        zeros = None if params is None else np.array([params.zero_point], np.int64)
        return self._tensor(name, shape, np.dtype(dtype), 0, scales, zeros, 0)

    def constant(
        self,
        name: str,
        array: np.ndarray,
        scales: np.ndarray | None = None,
        axis: int = 0,
        zero_point: int = 0,
    ) -> int:
        """A constant; with `scales` symmetric quantization along `axis`, one scale a channel."""
        key = (array.dtype.str, array.tobytes(), array.shape)
        if scales is None and key in self.constants:
            return self.constants[key]
        if self._half and array.dtype == np.float32 and array.size >= _LEAST_HALVED:
            self.constants[key] = self._halved(name, array)
            return self.constants[key]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self.buffers.append(buffer)
        zeros = None if scales is None else np.full(len(scales), zero_point, np.int64)
        index = self._tensor(
            name, array.shape, array.dtype, len(self.buffers) - 1, scales, zeros, axis
        )
        if scales is None:
            self.constants[key] = index
        return index

    def _halved(self, name: str, array: np.ndarray) -> int:
        """A float32 tensor of what is stored as float16; runtimes convert it when they load."""
        stored = self.constant(f"{name}_half", array.astype(np.float16))
        made = self.tensor(name, array.shape, np.float32)
        self.operator("DEQUANTIZE", [stored], [made], version=3)
        return made

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        buffer: int,
        scales: np.ndarray | None,
        zeros: np.ndarray | None,
        axis: int,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = name.encode()
        tensor.shape = np.array(shape, np.int32)
        tensor.type = _TYPES[dtype]
        tensor.buffer = buffer
        if scales is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = scales.astype(np.float32)
            quantization.zeroPoint = zeros
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: tuple[str, Any] | None = None,
        version: int = 1,
    ) -> None:
        """Append a builtin operator, such as CONV_2D, with its (name, object) of options."""
        code = getattr(schema.BuiltinOperator, name)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.setdefault((code, version), len(self.codes))
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options[0])
            operator.builtinOptions = options[1]
        self.operators.append(operator)

    def op_counts(self) -> dict[str, int]:
        """How often each operator occurs."""
        codes = list(self.codes)
        return dict(
            sorted(
                Counter(OPERATOR_NAMES[codes[op.opcodeIndex][0]] for op in self.operators).items()
            )
        )

    def finish(
        self,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        metadata: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """The file's bytes, with the tensors that its signature names, and its metadata."""
        graph = schema.SubGraphT()
        graph.name = b"main"
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs = np.array(list(inputs.values()), np.int32)
        graph.outputs = np.array(list(outputs.values()), np.int32)
        model = schema.ModelT()
        model.version = 3
        model.description = b"edgeshuffle"
        model.buffers, model.subgraphs = self.buffers, [graph]
        model.signatureDefs = [_signature(inputs, outputs)]
        entries = dict([_REDUCED] if self._half else []) | dict(metadata or {})
        model.metadata = [self._metadata(*entry) for entry in entries.items()]
        model.operatorCodes = []
        for code, version in self.codes:
            entry = schema.OperatorCodeT()
            # Runtimes before schema 3a read the one-byte field, which ends at 127.
            entry.deprecatedBuiltinCode = min(code, 127)
            entry.builtinCode, entry.version = code, version
            model.operatorCodes.append(entry)
        return packed(model)

    def _metadata(self, name: str, content: bytes) -> Any:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.encode(), len(self.buffers) - 1
        return entry


def _signature(inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Any:
    """The one by which `Interpreter.get_signature_runner` runs the file."""
    signature = schema.SignatureDefT()
    signature.signatureKey = _SIGNATURE
    signature.inputs, signature.outputs = (
        [_named(name, index) for name, index in ends.items()] for ends in (inputs, outputs)
    )
    return signature


def _named(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry


def packed(model: Any) -> bytes:
    """The file of a schema `ModelT`, with its buffers aligned."""
    builder = _AlignedBuilder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
