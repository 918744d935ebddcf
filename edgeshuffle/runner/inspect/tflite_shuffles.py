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


def count_shuffles(graph: Graph) -> int:
    """RESHAPE and TRANSPOSE of channels, which may be the last axis or the second, and GATHER."""
    parts: dict[int, list[list[int]]] = {}
    for node in graph.nodes:
        indices = _taken(graph, node)
        if indices is not None:
            parts.setdefault(int(node.inputs[0]), []).append(indices)
    gathers = sum(any(map(is_order, found)) or takes_apart(found) for found in parts.values())
    return gathers + sum(_transposes(graph, node) for node in graph.nodes)


def _transposes(graph: Graph, node: Any) -> bool:
    if graph.op(node) != "TRANSPOSE":
        return False
    view = graph.producer.get(int(node.inputs[0]))
    perm = graph.integers(int(node.inputs[1]))
    if view is None or graph.op(view) != "RESHAPE" or perm is None:
        return False
    shape, viewed = graph.shape(int(view.inputs[0])), graph.shape(int(view.outputs[0]))
    return any(shuffles_channels(shape, viewed, perm, last=last) for last in (True, False))


def _taken(graph: Graph, node: Any) -> list[int] | None:
    """The channels that a GATHER takes of its input."""
    if graph.op(node) != "GATHER":
        return None
    shape = graph.shape(int(node.inputs[0]))
    axis = node.builtinOptions.axis if node.builtinOptions is not None else 0
    if len(shape) != 4 or axis % 4 not in (1, 3):
        return None
    return graph.integers(int(node.inputs[1]))
