"""Whether a graph can be handled, before the passes and after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import is_known, operator_of, where
from edgeshuffle.converter.operators.kept import mark
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

_QUANTIZED: Final = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def check_exported(model: ir.Model) -> None:
    """Raise ModelError for a graph that is quantized, or was exported for training."""
    nodes = list(model.graph)
    quantized = [
        node for node in nodes if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear")
    ]
    if quantized:
        raise ModelError(
            f"The model is quantized already: {_listed(quantized)}. Give its float form, which is "
            "quantized here."
        )
    training = [node for node in nodes if node.op_type == "BatchNormalization" and _trains(node)]
    if training:
        raise ModelError(
            f"The model was exported for training: {_listed(training)} measures its own inputs. "
            "Call model.eval() before you export it."
        )


def foreign(model: ir.Model) -> str:
    """A list of nodes that are neither ONNX's own operators nor functions of the model."""
    own = {"", "ai.onnx", *(domain for domain, *_ in model.functions)}
    return _listed([node for node in model.graph if node.domain not in own])


def check_given(model: ir.Model) -> None:
    """Raise ModelError for a graph that has graphs inside, or no convolution."""
    nodes = list(model.graph)
    branching = [
        node for node in nodes if any(_is_graph(value) for value in node.attributes.values())
    ]
    if branching:
        raise ModelError(
            f"The model chooses at run time what it computes: {_listed(branching)}. Export it "
            "without branches and loops."
        )
    if not any(node.op_type in ("Conv", "Gemm", "MatMul") for node in nodes):
        raise ModelError("The model has no convolution: there is nothing to export.")


def keep(model: ir.Model) -> tuple[str, ...]:
    """Mark every node that only ONNX can have, in float, and say of each why; after the passes."""
    reasons = []
    for node in model.graph:
        reason = _reason(node)
        if reason is not None:
            mark(node, reason)
            reasons.append(f"{where(node)} {reason}")
    return tuple(reasons)


def check_core(model: ir.Model) -> None:
    """Raise ModelError with every node that not all writers can write."""
    reasons = keep(model)
    if reasons:
        raise ModelError(f"{'; '.join(reasons)}.")


def _reason(node: ir.Node) -> str | None:
    if is_known(node):
        if not all(g.is_float(value) for _, value in g.data_inputs(node)):
            return "reads other numbers than floats"
        if node.op_type == "Concat" and len(g.data_inputs(node)) < len(node.inputs):
            return "has a constant input, which is not supported"
    return operator_of(node).check(node)


def _trains(node: ir.Node) -> bool:
    """Older opsets tell it by giving more than the result."""
    mode = node.attributes.get_int("training_mode", 0)
    return mode == 1 or any(value.name for value in node.outputs[1:])


def _is_graph(attribute: ir.Attr) -> bool:
    return attribute.type.name in ("GRAPH", "GRAPHS")


def _listed(nodes: list[ir.Node], most: int = 5) -> str:
    rest = f" and {len(nodes) - most} more" if len(nodes) > most else ""
    return ", ".join(where(node) for node in nodes[:most]) + rest
