"""Fold batch normalization into the convolution or matrix product before it.

BN(z) = gamma (z - mu) / sqrt(var + eps) + beta (ONNX BatchNormalization-15, inference form). With
z = W x + b and s = gamma / sqrt(var + eps), computed in float64:

    BN(W x + b) = (s W) x + (s (b - mu) + beta)

where s scales the rows that make each output channel.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.passes.outcome import Outcome
from edgeshuffle.errors import ModelError


def run(model: ir.Model) -> Outcome:
    """Fold every batch norm; raises ModelError for one that follows no foldable operator."""
    folded = [node for node in model.graph if node.op_type == "BatchNormalization"]
    for norm in folded:
        _fold(model.graph, norm)
    return Outcome(len(folded))


def ensures(model: ir.Model) -> str | None:
    """No batch norm is left."""
    for node in model.graph:
        if node.op_type == "BatchNormalization":
            return f"{where(node)} is left"
    return None


def _fold(graph: ir.Graph, norm: ir.Node) -> None:
    source = norm.inputs[0]
    assert source is not None
    made = source.producer()
    if (
        made is None
        or made.op_type not in ("Conv", "Gemm")
        or g.sole_consumer(source) is not norm
        or g.constant(made.inputs[1]) is None
    ):
        raise ModelError(
            f"{where(norm)} does not directly follow a convolution with constant weights, so it "
            "cannot be folded."
        )
    bias_value = made.inputs[2] if len(made.inputs) > 2 else None
    if bias_value is not None and g.constant(bias_value) is None:
        raise ModelError(f"{where(made)} has a bias that is not constant.")
    arrays = [g.constant(value) for value in norm.inputs[1:5]]
    if any(array is None for array in arrays):
        raise ModelError(f"{where(norm)} has statistics that are not constant.")
    gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in arrays)
    if not all(np.isfinite(array).all() for array in (gamma, beta, mean, variance)):
        raise ModelError(f"{where(norm)} has statistics that are NaN or infinite.")
    epsilon = norm.attributes.get("epsilon")
    raised = variance + (1e-5 if epsilon is None else epsilon.as_float())
    if not (raised > 0).all():
        raise ModelError(f"{where(norm)} has a variance that is not positive.")
    scale = gamma / np.sqrt(raised)

    weight = np.asarray(g.constant(made.inputs[1]), np.float64)
    bias = np.zeros_like(beta)
    if bias_value is not None:
        share = made.attributes.get("beta")
        bias = np.asarray(g.constant(bias_value), np.float64)
        # alpha stays, as it scales the same products; beta would scale the new bias too.
        bias = bias.reshape(-1) * (1.0 if share is None else share.as_float())
    made.attributes.pop("beta", None)
    rows_last = made.op_type == "Gemm" and not g.integer(made, "transB", 0)
    spread = [1] * weight.ndim
    spread[-1 if rows_last else 0] = -1
    name = made.inputs[1].name if made.inputs[1] is not None else "weight"
    folded = (weight * scale.reshape(spread)).astype(np.float32)
    made.resize_inputs(3)
    made.replace_input_with(1, g.new_constant(graph, f"{name}_folded", folded))
    folded_bias = (scale * (bias - mean) + beta).astype(np.float32)
    made.replace_input_with(2, g.new_constant(graph, f"{name}_bias", folded_bias))

    ir.convenience.replace_all_uses_with(
        norm.outputs[0], made.outputs[0], replace_graph_outputs=True
    )
    graph.remove(norm, safe=True)
