"""Whether a graph can be handled, before the passes and after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import KINDS, is_known, operator_of, where
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir


def check_known(model: ir.Model) -> None:
    """Raise ModelError for the first operator that no pass or emitter knows."""
    for node in model.graph:
        if not is_known(node):
            raise ModelError(
                f"The operator {where(node)} is not supported. Known: {', '.join(sorted(KINDS))}."
            )
        if node.op_type == "Concat" and len(g.data_inputs(node)) < len(node.inputs):
            raise ModelError(f"{where(node)} has a constant input, which is not supported.")
    if not any(node.op_type in ("Conv", "Gemm", "MatMul") for node in model.graph):
        raise ModelError("The model has no convolution: there is nothing to export.")


def check_core(model: ir.Model) -> None:
    """Raise ModelError, naming the node, unless every node is one that the emitters write."""
    for node in model.graph:
        reason = operator_of(node).check(node)
        if reason is not None:
            raise ModelError(f"{where(node)} {reason}.")
