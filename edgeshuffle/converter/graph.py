"""Small reads and edits of an `onnx_ir` graph that passes, quantization and emitters share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray


def constant(value: ir.Value | None) -> Array | None:
    """The array of a constant value, or None if it is computed at run time or absent."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """A value's static shape; raises ModelError if it has none."""
    if value.shape is None or not all(isinstance(size, int) for size in value.shape):
        raise ModelError(
            f"The value '{value.name}' has no static shape ({value.shape}). Export the model with "
            "a fixed input size, or give `resolution`."
        )
    return tuple(int(size) for size in value.shape)  # type: ignore[arg-type]


def type_of(value: ir.Value) -> int:
    """A value's element type in ONNX's numbers; float32 where none is told."""
    return int(ir.DataType.FLOAT if value.dtype is None else value.dtype)


def is_float(value: ir.Value) -> bool:
    """Whether a value holds float32 numbers, as all do that are quantized."""
    return type_of(value) == int(ir.DataType.FLOAT)


def nhwc(shape: Sequence[int]) -> tuple[int, ...]:
    """The NHWC shape of an NCHW one; other ranks stay."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else tuple(shape)


def ints(node: ir.Node, name: str, default: Sequence[int]) -> tuple[int, ...]:
    """An integer-list attribute."""
    attribute = node.attributes.get(name)
    return tuple(default) if attribute is None else tuple(attribute.as_ints())


def integer(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def data_inputs(node: ir.Node) -> list[tuple[int, ir.Value]]:
    """The inputs that are computed at run time, with their positions."""
    return [
        (index, value)
        for index, value in enumerate(node.inputs)
        if value is not None and constant(value) is None
    ]


def sole_consumer(value: ir.Value) -> ir.Node | None:
    """The one node that reads `value`, or None if several do or the graph returns it."""
    if value.is_graph_output() or len(value.uses()) != 1:
        return None
    return value.consumers()[0]


def is_depthwise(node: ir.Node) -> bool:
    """Whether a Conv maps each channel to one of its own."""
    group = integer(node, "group", 1)
    weight = constant(node.inputs[1])
    return weight is not None and group > 1 and weight.shape[:2] == (group, 1)


def is_grouped(node: ir.Node) -> bool:
    """Whether a Conv has groups of several channels, or makes several channels of each."""
    return integer(node, "group", 1) > 1 and not is_depthwise(node)


def new_constant(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """Add an initializer under a name not taken yet, from `name`."""
    unique, suffix = name, 0
    while unique in graph.initializers:
        suffix += 1
        unique = f"{name}_{suffix}"
    array = np.asarray(array, order="C")
    value = ir.Value(
        name=unique,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
        const_value=ir.tensor(array, name=unique),
    )
    graph.register_initializer(value)
    return value


def new_value(name: str, shape: Sequence[int], graph: ir.Graph | None = None) -> ir.Value:
    """A float value computed at run time, under a name not taken yet in `graph`."""
    name = name if graph is None else free_name(graph, name)
    return ir.Value(name=name, shape=ir.Shape(tuple(shape)), type=ir.TensorType(ir.DataType.FLOAT))


def free_name(graph: ir.Graph, name: str) -> str:
    """The name, or a longer one where a value of the graph has it."""
    taken = value_names(graph)
    while name in taken:
        name += "_"
    return name


def value_names(graph: ir.Graph) -> set[str]:
    """Every value name in use."""
    names = {value.name for value in graph.inputs} | set(graph.initializers)
    names |= {value.name for node in graph for value in node.outputs}
    return {name for name in names if name}


def replace(node: ir.Node, value: ir.Value) -> None:
    """Remove a node of one output, of which `value` takes the place, also as the graph's output."""
    graph = node.graph
    assert graph is not None
    ir.convenience.replace_all_uses_with(node.outputs[0], value, replace_graph_outputs=True)
    graph.remove(node, safe=True)


def drop_dead(model: ir.Model) -> None:
    """Remove nodes and initializers that nothing reads."""
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    RemoveUnusedNodesPass()(model)
