"""The channel shuffles of a TFLite file, however they are spelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from edgeshuffle.runner.inspect.shuffles import is_order, shuffles_channels, takes_apart

if TYPE_CHECKING:

    class Graph(Protocol):
        """What is to be known of a file's graph; tensors are told by index."""

        nodes: list[Any]
        producer: dict[int, Any]

        def op(self, node: Any) -> str: ...
        def shape(self, index: int) -> tuple[int, ...]: ...
        def integers(self, index: int) -> list[int] | None: ...


def shuffles(graph: Graph) -> list[list[Any]]:
    """The operators of each: RESHAPE and TRANSPOSE of channels, which may be the last axis or the
    second, GATHER, and the parts of one SPLIT in another order.
    """
    found = [[node] for node in graph.nodes if _swaps(graph, node)]
    found += [
        [graph.producer[int(node.inputs[0])], node, *_views(graph, node)]
        for node in graph.nodes
        if _transposes(graph, node)
    ]
    parts: dict[int, list[tuple[Any, list[int]]]] = {}
    for node in graph.nodes:
        indices = _taken(graph, node)
        if indices is not None:
            parts.setdefault(int(node.inputs[0]), []).append((node, indices))
    for taken in parts.values():
        orders = [indices for _, indices in taken]
        if any(map(is_order, orders)) or takes_apart(orders):
            found.append([node for node, _ in taken])
    return found


def _views(graph: Graph, node: Any) -> list[Any]:
    """The RESHAPE that gives what a TRANSPOSE made its first shape again, if that is all."""
    made = int(node.outputs[0])
    readers = [other for other in graph.nodes if made in map(int, other.inputs)]
    return readers if [graph.op(reader) for reader in readers] == ["RESHAPE"] else []


def _transposes(graph: Graph, node: Any) -> bool:
    if graph.op(node) != "TRANSPOSE":
        return False
    view = graph.producer.get(int(node.inputs[0]))
    perm = graph.integers(int(node.inputs[1]))
    if view is None or graph.op(view) != "RESHAPE" or perm is None:
        return False
    shape, viewed = graph.shape(int(view.inputs[0])), graph.shape(int(view.outputs[0]))
    return any(shuffles_channels(shape, viewed, perm, last=last) for last in (True, False))


def _swaps(graph: Graph, node: Any) -> bool:
    """Whether a CONCATENATION of channels puts the parts of one split together in another order."""
    if graph.op(node) != "CONCATENATION" or len(graph.shape(int(node.outputs[0]))) != 4:
        return False
    if node.builtinOptions is None or node.builtinOptions.axis % 4 not in (1, 3):
        return False
    parts = [int(index) for index in node.inputs]
    makers = [graph.producer.get(index) for index in parts]
    split = makers[0] if makers else None
    if split is None or any(maker is None for maker in makers):
        return False
    if graph.op(split) == "SLICE":
        return _joins_slices(graph, makers, node.builtinOptions.axis % 4)
    if graph.op(split) not in ("SPLIT", "SPLIT_V") or any(maker is not split for maker in makers):
        return False
    return is_order([list(map(int, split.outputs)).index(index) for index in parts])


def _joins_slices(graph: Graph, slices: list[Any], axis: int) -> bool:
    """Whether these are all channels of one tensor in another order."""
    sources = {int(node.inputs[0]) for node in slices}
    if len(sources) != 1 or any(graph.op(node) != "SLICE" for node in slices):
        return False
    taken: list[int] = []
    for node in slices:
        begin, size = (graph.integers(int(node.inputs[place])) for place in (1, 2))
        if begin is None or size is None or len(begin) != 4 or len(size) != 4:
            return False
        taken += range(begin[axis], begin[axis] + graph.shape(int(node.outputs[0]))[axis])
    return len(taken) == graph.shape(sources.pop())[axis] and is_order(taken)


def _taken(graph: Graph, node: Any) -> list[int] | None:
    """The channels that a GATHER takes of its input."""
    if graph.op(node) != "GATHER":
        return None
    shape = graph.shape(int(node.inputs[0]))
    axis = node.builtinOptions.axis if node.builtinOptions is not None else 0
    if len(shape) != 4 or axis % 4 not in (1, 3):
        return None
    return graph.integers(int(node.inputs[1]))
