"""One module an ONNX operator kind, named in snake case: all that there is to say of it.

Passes, quantizer, simulator and writers walk the graph and ask here, so that a new kind is one file
and one word in the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.kept import OPERATOR as KEPT
from edgeshuffle.converter.operators.kept import is_marked
from edgeshuffle.converter.operators.operator import (
    Activation,
    Channels,
    Cost,
    Operator,
    OperatorModule,
    Scale,
    shapes,
    where,
)
from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = [
    "IR_VERSION",
    "KINDS",
    "OPERATORS",
    "OPSET",
    "Activation",
    "Channels",
    "Cost",
    "Operator",
    "Scale",
    "is_conv",
    "is_kept",
    "is_known",
    "operator_of",
    "shapes",
    "where",
]

OPSET: Final = 20
IR_VERSION: Final = 10

OPERATORS: Table[OperatorModule] = Table(
    "operator",
    __name__,
    "export",
    *(
        "add",
        "arg_max",
        "average_pool",
        "batch_normalization",
        "clip",
        "concat",
        "conv",
        "div",
        "flatten",
    ),
    *("gather", "hard_sigmoid", "hard_swish", "log_softmax", "p_relu", "resize", "softmax", "sub"),
    *("gemm", "global_average_pool", "identity", "leaky_relu", "mat_mul", "max_pool", "mul"),
    *("flatten", "pad", "reduce_mean", "relu"),
    *("reshape", "sigmoid", "slice", "split", "squeeze", "transpose", "unsqueeze"),
)
# ONNX's names of the kinds: `max_pool` is MaxPool.
KINDS: Final = {"".join(word.capitalize() for word in name.split("_")): name for name in OPERATORS}


def is_known(node: ir.Node) -> bool:
    """Whether the node is of a kind in the table."""
    return node.domain in ("", "ai.onnx") and node.op_type in KINDS


def operator_of(node: ir.Node) -> Operator:
    """What is known of the node's kind: `kept` where it has no place in the table."""
    if is_marked(node) or not is_known(node):
        return KEPT
    return OPERATORS[KINDS[node.op_type]].OPERATOR


def is_kept(node: ir.Node) -> bool:
    """Whether the node stays as it is, in float."""
    return operator_of(node) is KEPT


def is_conv(node: ir.Node) -> bool:
    """Whether the node is a convolution that can have integers."""
    return node.op_type == "Conv" and not is_kept(node)
