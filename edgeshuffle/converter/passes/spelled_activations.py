"""Write an activation that is spelled with Add, Sub, Mul, Div, Clip and Relu as one operator.

Exporters and authors write HardSwish, x min(max(x + 3, 0), 6) / 6, in every order. All operators of
such a spelling work on single elements and are piecewise polynomials of one value, so what it
computes is recognised by its numbers at places that lie closer together than its bends:

    f(x) = max(x, 0), min(max(x, 0), 6), min(max(a x + b, 0), 1), x min(max(x + 3, 0), 6) / 6,
    or x where it is positive and a x elsewhere

A multiple of HardSwish is one, too: its sixth may be in the next convolution's weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import where
from edgeshuffle.converter.operators.clip import limits
from edgeshuffle.converter.passes.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KINDS: Final = frozenset({"Add", "Sub", "Mul", "Div", "Clip", "Relu", "HardSigmoid"})
_DEEPEST: Final = 6
_FAR: Final = np.geomspace(17, 1e6, 200)
_PLACES: Final = np.concatenate([-_FAR[::-1], np.linspace(-16, 16, 4097), _FAR])
_CLOSE: Final = 1e-5
_TWO: Final[dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


class Known(NamedTuple):
    """An operator with its attributes or limits, and what it gives at all places."""

    kind: str
    attributes: Mapping[str, float]
    limits: tuple[float, ...]
    values: np.ndarray
    factor: float = 1.0


def run(model: ir.Model) -> Outcome:
    """Replace the largest spellings first."""
    count = 0
    for node in reversed(list(model.graph)):
        found = _found(node)
        if found is None:
            continue
        source, known = found
        inputs = [source]
        for limit in known.limits:
            name = f"{node.name or node.outputs[0].name}_limit"
            inputs.append(g.new_constant(model.graph, name, np.array(limit, np.float32)))
        old = node.outputs[0]
        result = g.new_value(f"{old.name}_{known.kind}", g.shape_of(old), model.graph)
        attributes = [ir.AttrFloat32(name, value) for name, value in known.attributes.items()]
        made = ir.Node("", known.kind, inputs, attributes, outputs=[result], name=node.name)
        model.graph.insert_before(node, made)
        if known.factor != 1:
            result = _multiplied(model.graph, node, result, known.factor)
        g.replace(node, result)
        count += 1
    g.drop_dead(model)
    return Outcome(count)


def _multiplied(graph: ir.Graph, node: ir.Node, value: ir.Value, factor: float) -> ir.Value:
    name = f"{value.name}_factor"
    number = g.new_constant(graph, name, np.array(factor, np.float32))
    result = g.new_value(f"{value.name}_multiple", g.shape_of(value), graph)
    graph.insert_before(node, ir.Node("", "Mul", [value, number], outputs=[result], name=name))
    return result


def ensures(model: ir.Model) -> str | None:
    """No activation is spelled out."""
    for node in model.graph:
        found = _found(node)
        if found is not None:
            return f"{where(node)} is the end of a {found[1].kind} that is spelled out"
    return None


def _found(node: ir.Node) -> tuple[ir.Value, Known] | None:
    """The value that a spelling starts from, and what it is; None for what is no spelling."""
    if node.op_type not in _KINDS or _is_plain(node):
        return None
    for source in reversed(list(_sources(node.outputs[0], 0))):
        with np.errstate(all="ignore"):
            values = _values(node.outputs[0], source, 0)
        if values is not None and np.isfinite(values).all():
            known = _recognised(values)
            if known is not None:
                return source, known
    return None


def _is_plain(node: ir.Node) -> bool:
    """Whether the node is what a spelling would be replaced by, or a step that is none."""
    if node.op_type in ("Relu", "HardSigmoid"):
        return True
    return node.op_type == "Clip" and limits(node) == (0, 6)


def _sources(value: ir.Value, depth: int) -> Iterator[ir.Value]:
    """Values that `value` is computed from by operators on single elements, nearest first."""
    node = value.producer()
    if node is None or node.op_type not in _KINDS or depth == _DEEPEST:
        return
    for _, source in g.data_inputs(node):
        if g.shape_of(source) == g.shape_of(value):
            yield source
            yield from _sources(source, depth + 1)


def _values(value: ir.Value, source: ir.Value, depth: int) -> np.ndarray | None:
    """What `value` is where `source` is at the places; None where it depends on anything else."""
    if value is source:
        return _PLACES
    array = g.constant(value)
    if array is not None:
        return np.full_like(_PLACES, array.reshape(-1)[0]) if array.size == 1 else None
    node = value.producer()
    if node is None or node.op_type not in _KINDS or depth == _DEEPEST:
        return None
    operands: list[np.ndarray] = []
    for place, given in enumerate(node.inputs):
        # Of a Clip, a limit that is left out.
        limit = np.full_like(_PLACES, np.inf if place == 2 else -np.inf)
        found = limit if given is None else _values(given, source, depth + 1)
        if found is None:
            return None
        operands.append(found)
    return _computed(node, operands)


def _computed(node: ir.Node, operands: list[np.ndarray]) -> np.ndarray:
    found = x = operands[0]
    if node.op_type in _TWO:
        found = _TWO[node.op_type](x, operands[1])
    elif node.op_type == "Relu":
        found = np.maximum(x, 0)
    elif node.op_type == "HardSigmoid":
        alpha, beta = (node.attributes.get(name) for name in ("alpha", "beta"))
        slope = 0.2 if alpha is None else alpha.as_float()
        found = np.clip(slope * x + (0.5 if beta is None else beta.as_float()), 0, 1)
    else:
        for limit, choose in zip(operands[1:], (np.maximum, np.minimum), strict=False):
            found = choose(found, limit)
    return found


def _recognised(values: np.ndarray) -> Known | None:
    x = _PLACES
    middle = len(_FAR) + 2048
    beta = float(values[middle])
    alpha = float((values[middle + 1] - values[middle - 1]) / (x[middle + 1] - x[middle - 1]))
    slope = float(-values[np.flatnonzero(x == -1)[0]])
    candidates = [
        Known("Relu", {}, (), np.maximum(x, 0)),
        Known("Clip", {}, (0, 6), np.clip(x, 0, 6)),
    ]
    # Far out HardSwish is x.
    factor = float(values[-1] / x[-1])
    if factor != 0:
        factor = 1.0 if np.isclose(factor, 1, rtol=_CLOSE) else factor
        swish = factor * x * np.clip(x + 3, 0, 6) / 6
        candidates.append(Known("HardSwish", {}, (), swish, factor))
    if alpha > 0:
        line = {"alpha": alpha, "beta": beta}
        candidates.append(Known("HardSigmoid", line, (), np.clip(alpha * x + beta, 0, 1)))
    if 0 < slope < 1:
        candidates.append(Known("LeakyRelu", {"alpha": slope}, (), np.where(x < 0, slope * x, x)))
    for known in candidates:
        if np.allclose(values, known.values, rtol=_CLOSE, atol=_CLOSE):
            return known
    return None
