"""Take the normalisation of an image out of a model: a runtime does it with the pixels anyway.

Sub, Div, Add and Mul by a number, or one a channel, that alone read the input are z = a x + b,
which is (x - mean) / std with mean = -b / a and std = 1 / a.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

_KINDS: Final = frozenset({"Add", "Div", "Mul", "Sub"})


class Normalised(NamedTuple):
    """A model that reads z, and the mean and std a channel with which x becomes z."""

    proto: onnx.ModelProto
    mean: tuple[float, ...]
    std: tuple[float, ...]


def take_normalisation(proto: onnx.ModelProto) -> Normalised | None:
    """The model without what normalises its input; None where nothing does."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    graph = made.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    (given,) = [value for value in graph.input if value.name not in constants]
    count = given.type.tensor_type.shape.dim[1].dim_value
    factor, offset, name, taken = np.ones(count), np.zeros(count), given.name, []
    returned = {value.name for value in graph.output}
    while True:
        readers = [node for node in graph.node if name in node.input]
        if len(readers) != 1 or readers[0].output[0] in returned:
            break
        step = _step(readers[0], name, constants, count)
        if step is None or not (step[0] > 0).all():
            break
        factor, offset = step[0] * factor, step[0] * offset + step[1]
        taken.append(readers[0])
        name = readers[0].output[0]
    if not taken:
        return None
    for node in taken:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [given.name if read == name else read for read in node.input]
    mean, std = -offset / factor, 1 / factor
    return Normalised(made, tuple(map(float, mean)), tuple(map(float, std)))


def _step(
    node: onnx.NodeProto, name: str, constants: dict[str, onnx.TensorProto], count: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Factors and offsets of one operator on (1, C, H, W); None for what is none such."""
    if node.op_type not in _KINDS or len(node.input) != 2:
        return None
    other = next((read for read in node.input if read != name), name)
    if other not in constants or (node.input[0] != name and node.op_type in ("Div", "Sub")):
        return None
    array = np.asarray(numpy_helper.to_array(constants[other]), np.float64)
    whole = (1,) * (4 - array.ndim) + array.shape
    if array.size != 1 and whole != (1, count, 1, 1):
        return None
    if not np.isfinite(array).all() or (node.op_type == "Div" and not array.all()):
        return None
    numbers, ones = np.broadcast_to(array.reshape(-1), (count,)), np.ones(count)
    if node.op_type in ("Add", "Sub"):
        return ones, numbers if node.op_type == "Add" else -numbers
    return (numbers if node.op_type == "Mul" else 1 / numbers), np.zeros(count)
