"""The channel shuffles of an ONNX file, however they are spelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from onnx import numpy_helper

from edgeshuffle.runner.inspect.shuffles import (
    is_order,
    is_permutation,
    shuffles_channels,
    takes_apart,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    class Graph(Protocol):
        """What is to be known of a file's graph."""

        nodes: list[onnx.NodeProto]
        producer: dict[str, onnx.NodeProto]
        readers: dict[str, list[onnx.NodeProto]]

        @property
        def shapes(self) -> Mapping[str, tuple[int, ...]]: ...

        def constant(self, name: str) -> onnx.TensorProto | None: ...


_NAMED: Final = {"ChannelShuffle", "ShuffleChannel", "Shuffle"}


def shuffles(graph: Graph) -> list[list[onnx.NodeProto]]:
    """The nodes of each: Reshape and Transpose, Gather and strided Slice of channels, Split and
    Concat in another order, 1x1 convolutions with a permutation matrix, and operators of that name.
    """
    found = [
        [node]
        for node in graph.nodes
        if node.op_type in _NAMED or _multiplies(graph, node) or _swaps(graph, node)
    ]
    found += [
        [graph.producer[node.input[0]], node, *_views(graph, node)]
        for node in graph.nodes
        if _transposes(graph, node)
    ]
    parts: dict[str, list[tuple[onnx.NodeProto, list[int]]]] = {}
    for node in graph.nodes:
        indices = _taken(graph, node)
        if indices is not None:
            parts.setdefault(node.input[0], []).append((node, indices))
    for taken in parts.values():
        orders = [indices for _, indices in taken]
        if any(map(is_order, orders)) or takes_apart(orders):
            found.append([node for node, _ in taken])
    return found


def _views(graph: Graph, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The Reshape that gives what a Transpose made its first shape again, if that is all."""
    readers = graph.readers.get(node.output[0], [])
    return readers if [reader.op_type for reader in readers] == ["Reshape"] else []


def _transposes(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "Transpose":
        return False
    view = graph.producer.get(node.input[0])
    if view is None or view.op_type != "Reshape":
        return False
    shape, viewed = (graph.shapes.get(name) for name in (view.input[0], view.output[0]))
    perm = _attribute(node, "perm", None)
    if shape is None or viewed is None:
        return False
    return shuffles_channels(shape, viewed, perm or range(len(viewed))[::-1])


def _swaps(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a Concat of channels puts the parts of one Split together in another order."""
    quantized = node.op_type == "QLinearConcat"
    if not (quantized or node.op_type == "Concat") or _attribute(node, "axis", 1) not in (1, -3):
        return False
    parts = node.input[2::3] if quantized else node.input
    makers = [graph.producer.get(name) for name in parts]
    split = makers[0] if makers else None
    if split is None or split.op_type != "Split" or any(maker is not split for maker in makers):
        return False
    if _attribute(split, "axis", 0) not in (1, -3) or len(graph.shapes.get(parts[0], ())) != 4:
        return False
    return is_order([list(split.output).index(name) for name in parts])


def _multiplies(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "Conv" or _attribute(node, "group", 1) != 1:
        return False
    dims = graph.shapes.get(node.input[1], ())
    if len(dims) != 4 or dims[0] != dims[1] or dims[2:] != (1, 1):
        return False
    weight = graph.constant(node.input[1])
    if weight is None or tuple(weight.dims) != dims:
        return False
    return is_permutation(numpy_helper.to_array(weight)[:, :, 0, 0])


def _taken(graph: Graph, node: onnx.NodeProto) -> list[int] | None:
    """The channels that a node takes of its input, where it takes some or all of them."""
    shape = graph.shapes.get(node.input[0], ()) if node.input else ()
    if len(shape) != 4:
        return None
    if node.op_type == "Gather" and _attribute(node, "axis", 0) in (1, -3):
        indices = _values(graph, node, 1)
        return None if indices is None else [index % shape[1] for index in indices]
    if node.op_type != "Slice" or len(node.input) < 5:
        return None
    limits = [_values(graph, node, place) for place in (1, 2, 3, 4)]
    if any(values is None or len(values) != 1 for values in limits):
        return None
    start, stop, axis, step = (values[0] for values in limits if values)
    return list(range(shape[1]))[start:stop:step] if axis in (1, -3) and step else None


def _values(graph: Graph, node: onnx.NodeProto, place: int) -> list[int] | None:
    constant = graph.constant(node.input[place]) if node.input[place] else None
    if constant is None or len(constant.dims) != 1:
        return None
    return [int(value) for value in np.asarray(numpy_helper.to_array(constant))]


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = next((one for one in node.attribute if one.name == name), None)
    if found is None:
        return default
    return list(found.ints) if found.ints else found.i
