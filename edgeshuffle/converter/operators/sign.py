"""Which values are proved to hold no negative number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Scale, is_known, operator_of

if TYPE_CHECKING:
    import onnx_ir as ir


def is_non_negative(value: ir.Value) -> bool:
    """Whether 0 is as good as the smallest number to pad a value with for a maximum."""
    node = value.producer()
    if node is None or not is_known(node):
        return False
    if operator_of(node).is_never_negative(node):
        return True
    if node.op_type == "Clip":
        return False
    tied = operator_of(node).scale is Scale.TIED
    return tied and all(is_non_negative(source) for _, source in g.data_inputs(node))
