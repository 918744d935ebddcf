"""The ONNX operators that the passes and emitters understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

OPSET: Final = 20
IR_VERSION: Final = 10

MOVES: Final = frozenset(
    {"Concat", "Split", "Slice", "Gather", "Reshape", "Transpose", "Flatten", "Squeeze",
     "Unsqueeze", "Identity"}
)  # fmt: skip
COMPUTES: Final = frozenset(
    {"Conv", "BatchNormalization", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool",
     "ReduceMean", "Gemm", "MatMul", "Add"}
)  # fmt: skip
# What may be left after the passes; both emitters write each of these.
CORE: Final = frozenset(
    {"Conv", "Relu", "Clip", "MaxPool", "GlobalAveragePool", "Concat", "Split", "Slice", "Gather",
     "Flatten"}
)  # fmt: skip


def where(node: ir.Node) -> str:
    """An operator and its node's name, for messages."""
    return f"{node.op_type} (node '{node.name or node.outputs[0].name}')"


def check_known(model: ir.Model) -> None:
    """Raise ModelError for the first operator that no pass or emitter knows."""
    for node in model.graph:
        if node.domain not in ("", "ai.onnx") or node.op_type not in MOVES | COMPUTES:
            raise ModelError(
                f"The operator {where(node)} is not supported. Known: "
                f"{', '.join(sorted(MOVES | COMPUTES))}."
            )
        if node.op_type == "Concat" and len(g.data_inputs(node)) < len(node.inputs):
            raise ModelError(f"{where(node)} has a constant input, which is not supported.")
    if not any(node.op_type in ("Conv", "Gemm", "MatMul") for node in model.graph):
        raise ModelError("The model has no convolution: there is nothing to export.")


def check_core(model: ir.Model) -> None:
    """Raise ModelError, naming the node, unless every node is one that the emitters write."""
    for node in model.graph:
        if node.op_type not in CORE:
            raise ModelError(
                f"{where(node)} is left after the rewrites and cannot be emitted: "
                f"{_shapes(node)} is not a rearrangement of whole channels, a batch norm after a "
                "convolution, or a classifier that is understood here."
            )
        if node.op_type == "Conv":
            _check_conv(node)
        elif node.op_type == "Clip":
            low, high = (g.constant(value) for value in (*node.inputs[1:3], None, None)[:2])
            if low is None or high is None or float(low) != 0 or float(high) != 6:
                raise ModelError(f"{where(node)} is not ReLU6, the only Clip supported.")
        elif node.op_type == "MaxPool" and (
            len(node.outputs) > 1
            or g.integer(node, "ceil_mode", 0)
            or any(size != 1 for size in g.ints(node, "dilations", ()))
        ):
            raise ModelError(f"{where(node)}: ceil_mode, dilations and indices are not supported.")
        elif node.op_type == "Flatten" and not node.outputs[0].is_graph_output():
            raise ModelError(f"{where(node)} is supported only at the output.")
        elif node.op_type in ("Concat", "Split", "Slice", "Gather"):
            _check_channels(node)
    _check_output(model.graph.outputs[0])


def _check_channels(node: ir.Node) -> None:
    """Moved are whole channels of 4-D values, in order: all that the TFLite writer knows."""
    if node.op_type == "Slice":
        axes, steps = (
            None if array is None else array.tolist()
            for array in (g.constant(value) for value in (*node.inputs[3:5], None, None)[:2])
        )
        along = axes in ([1], [-3]) and steps in (None, [1])
    else:
        along = g.integer(node, "axis", 0) in (1, -3)
    if not along or len(g.shape_of(node.outputs[0])) != 4:
        raise ModelError(
            f"{where(node)} moves more than whole channels ({_shapes(node)}), which is not "
            "supported."
        )


def _check_output(output: ir.Value) -> None:
    shape = g.shape_of(output)
    made = output.producer()
    whole = made is not None and all(
        g.shape_of(value)[2:] in ((), (1, 1)) for value in (made.inputs[0], output) if value
    )
    if len(shape) not in (2, 4) or shape[0] != 1 or int(np.prod(shape)) != shape[1] or not whole:
        raise ModelError(
            f"The output '{output.name}' has the shape {list(shape)}; a classifier gives one "
            "number a class, (1, classes)."
        )


def _shapes(node: ir.Node) -> str:
    given = [str(value.shape) for _, value in g.data_inputs(node)]
    return f"{' + '.join(given)} -> {node.outputs[0].shape}"


def _check_conv(node: ir.Node) -> None:
    weight = g.constant(node.inputs[1])
    if weight is None or weight.ndim != 4:
        raise ModelError(f"{where(node)} has no constant 2-D weight.")
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    offset = g.constant(bias)
    if bias is not None and offset is None:
        raise ModelError(f"{where(node)} has a bias that is not constant.")
    if not all(np.isfinite(array).all() for array in (weight, offset) if array is not None):
        raise ModelError(f"{where(node)} has weights that are NaN or infinite.")
    if g.integer(node, "group", 1) > 1 and not g.is_depthwise(node):
        raise ModelError(
            f"{where(node)} is a grouped convolution; only dense and depthwise ones are supported."
        )
    if any(size != 1 for size in g.ints(node, "dilations", ())):
        raise ModelError(f"{where(node)} is dilated, which is not supported.")
