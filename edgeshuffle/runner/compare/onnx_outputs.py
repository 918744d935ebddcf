"""Layer outputs of an ONNX file in ONNX Runtime, with the kernels that it always uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from edgeshuffle.converter.plan import QMIN, QParams
from edgeshuffle.runner.compare.layout import by_channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# Where operators that round are given the scale of their output, before its zero point.
_SCALE_AT: Final = {"QuantizeLinear": 1, "QLinearConv": 6, "QLinearGlobalAveragePool": 3}
# Gives the floats of integers.
_UNROUNDED: Final = "QGemm"

# How far below 1 such a scale may be.
_LITTLE: Final = 1e-3


class OnnxLayerOutputs:
    """A session on a file that `emit.onnx` wrote, for the graph's values of the given names.

    `operators` has what computes each value that the file has, in the file's order; `params` None
    for floats; `parts` what the channels of a value are split into. Without names, all values of a
    float file.
    """

    def __init__(self, path: Path, wanted: Iterable[str] | None = None) -> None:
        proto = onnx.load(path)
        made = {name: node.op_type for node in proto.graph.node for name in node.output}
        self._tensors = {
            value: tensor
            for value in (made if wanted is None else wanted)
            for tensor in _first(made, value)
        }
        by_tensor = _params(proto)
        self.params = {value: by_tensor.get(name) for value, name in self._tensors.items()}
        self.operators = {value: made[name] for value, name in self._tensors.items()}
        for node in proto.graph.node:
            if node.op_type in ("Relu", "Clip") and made.get(node.input[0]) == "Conv":
                self.operators[node.output[0]] = f"Conv+{node.op_type}"
        self.parts = {
            node.input[0]: tuple(node.output)
            for node in proto.graph.node
            if node.op_type == "Split" and [a.i for a in node.attribute if a.name == "axis"] == [1]
        }
        given = {output.name for output in proto.graph.output}
        proto.graph.output.extend(
            onnx.ValueInfoProto(name=name)
            for name in dict.fromkeys(self._tensors.values())
            if name not in given
        )
        options = ort.SessionOptions()
        # Errors are raised; printed besides, they would be lines of nobody's.
        options.log_severity_level = 4
        self._session = ort.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._feed = self._session.get_inputs()[0].name

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Values (C, pixels) by name for float32 (N, C, H, W) images: int8 steps or float32."""
        arrays = self._session.run(list(self._tensors.values()), {self._feed: images})
        return {
            value: by_channel(array) if array.dtype != np.uint8 else _signed(by_channel(array))
            for value, array in zip(self._tensors, arrays, strict=True)
        }


def _first(made: dict[str, str], value: str) -> list[str]:
    return [name for name in (f"{value}_q", f"{value}_float", value) if name in made][:1]


def _signed(steps: np.ndarray) -> np.ndarray:
    return (steps.astype(np.int16) + QMIN).astype(np.int8)


def _params(proto: onnx.ModelProto) -> dict[str, QParams]:
    """Of every tensor of integers; what an operator only moves keeps its parameters.

    So does what one interpolates between, by `Int8Writer.interpolate`: on the integers as floats,
    with a scale of 1 or just below.
    """
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    found: dict[str, QParams] = {}
    levels: dict[str, QParams] = {}
    for node in proto.graph.node:
        known = [found[name] for name in node.input if name in found]
        between = [levels[name] for name in node.input if name in levels]
        if node.op_type in _SCALE_AT:
            scale, zero = _grid(constants, node.input, _SCALE_AT[node.op_type])
            if between and _counts_levels(scale, zero):
                found[node.output[0]] = between[0]
                continue
            offset = QMIN if zero.dtype == np.uint8 else 0
            found[node.output[0]] = QParams(scale.item(), zero.item() + offset)
        elif node.op_type == "DequantizeLinear":
            if known and _counts_levels(*_grid(constants, node.input, 1)):
                levels[node.output[0]] = known[0]
        elif node.op_type == _UNROUNDED:
            continue
        elif between:
            levels.update(dict.fromkeys(node.output, between[0]))
        elif known:
            found.update(dict.fromkeys(node.output, known[0]))
    return found


def _grid(
    constants: dict[str, onnx.TensorProto], inputs: Sequence[str], at: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point."""
    scale, zero = (numpy_helper.to_array(constants[name]) for name in inputs[at : at + 2])
    return scale, zero


def _counts_levels(scale: np.ndarray, zero: np.ndarray) -> bool:
    """Whether integers are taken as so many steps above the lowest."""
    lowest = zero.size == 1 and int(zero.item()) == np.iinfo(zero.dtype).min
    return lowest and scale.size == 1 and 1 - _LITTLE <= float(scale.item()) <= 1
