"""Fold batch normalization into the convolution or matrix product before it.

Anywhere else it becomes a factor and an offset a channel, for `fold_affine`.

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
    """Fold every batch norm; raises ModelError for one whose numbers are no constants."""
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

    source = norm.inputs[0]
    assert source is not None
    made = source.producer()
    if made is None or not _is_foldable(made) or g.sole_consumer(source) is not norm:
        _spell_out(graph, norm, scale, beta - scale * mean)
        return
    bias_value = made.inputs[2] if len(made.inputs) > 2 else None
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

    g.replace(norm, made.outputs[0])


def _is_foldable(made: ir.Node) -> bool:
    constant = all(g.constant(value) is not None for value in made.inputs[1:] if value is not None)
    return made.op_type in ("Conv", "Gemm") and constant


def _spell_out(graph: ir.Graph, norm: ir.Node, scale: np.ndarray, offset: np.ndarray) -> None:
    """Write scale x + offset."""
    value, old = norm.inputs[0], norm.outputs[0]
    assert value is not None
    shape = (-1, *[1] * (len(g.shape_of(old)) - 2))
    for kind, array in (("Mul", scale), ("Add", offset)):
        name = f"{norm.name or old.name}_{kind}"
        numbers = g.new_constant(graph, name, array.reshape(shape).astype(np.float32))
        result = g.new_value(f"{old.name}_{kind}", g.shape_of(old), graph)
        graph.insert_before(norm, ir.Node("", kind, [value, numbers], outputs=[result], name=name))
        value = result
    g.replace(norm, value)
