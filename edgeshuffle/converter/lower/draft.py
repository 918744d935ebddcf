"""A graph and its plan while they are lowered: a copy, whose convolutions can be written anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.plan import QuantPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeshuffle.converter.plan import QConv, QParams

NOTHING = -1


class Draft:
    """What rewrites work on. Scales and zero points stay those of the plan."""

    def __init__(self, model: ir.Model, plan: QuantPlan | None) -> None:
        self.model = model.clone()
        self.graph = self.model.graph
        self._activations = None if plan is None else dict(plan.activations)
        self._convs = {} if plan is None else dict(plan.convs)

    @property
    def plan(self) -> QuantPlan | None:
        """As it is now."""
        return None if self._activations is None else QuantPlan(self._activations, self._convs)

    def convolutions(self) -> list[ir.Node]:
        """Those of the graph, in order."""
        return [node for node in self.graph if node.op_type == "Conv"]

    def outputs(
        self, conv: ir.Node, order: np.ndarray, shape: Callable[[np.ndarray], np.ndarray] = np.copy
    ) -> None:
        """Give a Conv other output channels: of which old one each is, `NOTHING` for zeros.

        `shape` then makes other weights of these (O, I, kH, kW). A channel of zeros is 0, or an
        activation of 0, as its bias is 0 and 0 is an integer; any positive scale would do for it.
        """
        self._replace(conv, 1, lambda weight: shape(_taken(weight, order)))
        if len(conv.inputs) > 2 and conv.inputs[2] is not None:
            self._replace(conv, 2, lambda bias: _taken(bias, order))
        name = conv.outputs[0].name or ""
        if name in self._convs:
            old = self._convs[name]
            largest = int(old.scales.argmax())
            scaled = np.where(order == NOTHING, largest, order)
            self._convs[name] = replace(
                old,
                weight=shape(_taken(old.weight, order)),
                scales=old.scales[scaled],
                bias=_taken(old.bias, order),
                bias_scales=old.bias_scales[scaled],
            )

    def columns(self, conv: ir.Node, count: int) -> None:
        """Let a Conv read so many input channels, by weights of 0 for those that it did not."""

        def wider(weight: np.ndarray) -> np.ndarray:
            return np.pad(weight, [(0, 0), (0, count - weight.shape[1]), (0, 0), (0, 0)])

        self._replace(conv, 1, wider)
        name = conv.outputs[0].name or ""
        if name in self._convs:
            old = self._convs[name]
            self._convs[name] = replace(old, weight=wider(old.weight))

    def value(self, name: str, shape: Sequence[int], like: ir.Value) -> ir.Value:
        """A new value with another's scale and zero point."""
        made = g.new_value(name, shape, self.graph)
        self._know(made.name or "", like.name or "")
        return made

    def insert(
        self,
        kind: str,
        inputs: Sequence[ir.Value],
        result: ir.Value,
        before: ir.Node,
        perm: tuple[int, ...] | None = None,
    ) -> None:
        """Put an operator that only moves elements before a node."""
        attributes = [] if perm is None else [ir.AttrInt64s("perm", perm)]
        node = ir.Node("", kind, inputs, attributes, outputs=[result], name=_name(result, kind))
        self.graph.insert_before(before, node)

    def depthwise(
        self,
        source: ir.Value,
        weight: np.ndarray,
        bias: np.ndarray,
        quantized: QConv | None,
        result: ir.Value,
        before: ir.Node,
    ) -> None:
        """Put a convolution of 1 x 1 with a weight and a bias (C,) for each channel before a node;
        with a plan, its integers.
        """
        name = result.name or ""
        arrays = {"weight": weight.reshape(-1, 1, 1, 1), "bias": bias}
        constants = [
            g.new_constant(self.graph, f"{name}_{part}", array) for part, array in arrays.items()
        ]
        attributes = [ir.AttrInt64("group", len(weight)), ir.AttrInt64s("kernel_shape", (1, 1))]
        inputs = [source, *constants]
        node = ir.Node("", "Conv", inputs, attributes, outputs=[result], name=_name(result, "Conv"))
        self.graph.insert_before(before, node)
        if quantized is not None:
            self._convs[name] = quantized

    def know(self, value: ir.Value, params: QParams) -> None:
        """Give a value a scale and zero point of its own, if there is a plan."""
        if self._activations is not None:
            self._activations[value.name or ""] = params

    def constant(self, name: str, *numbers: int) -> ir.Value:
        """An operator's int64 argument."""
        return g.new_constant(self.graph, name, np.array(numbers, np.int64))

    def stand_in(self, value: ir.Value) -> ir.Value:
        """A value that takes another's name and its readers, for an operator that is to make it."""
        name = value.name or ""
        made = ir.Value(name=name, shape=value.shape, type=value.type)
        ir.convenience.replace_all_uses_with(value, made, replace_graph_outputs=True)
        value.name = g.free_name(self.graph, f"{name}_before")
        self._know(value.name, name)
        return made

    def copy(self, conv: ir.Node, order: np.ndarray, result: ir.Value, before: ir.Node) -> None:
        """Compute some output channels of a Conv, with its activation, as another value."""
        end, name = fused(conv).output, conv.outputs[0].name or ""
        n, _, height, width = g.shape_of(end)
        made = result
        if end is not conv.outputs[0]:
            shape = (n, len(order), height, width)
            made = self.value(f"{result.name}_made", shape, conv.outputs[0])
        inputs = [conv.inputs[0]]
        for value in conv.inputs[1:]:
            array = g.constant(value)
            assert value is not None
            assert array is not None
            part = _taken(array, order)
            inputs.append(g.new_constant(self.graph, f"{value.name}_from_{order[0]}", part))
        attributes = list(conv.attributes.values())
        nodes = [ir.Node("", "Conv", inputs, attributes, outputs=[made], name=_name(made, "Conv"))]
        activation = end.producer()
        if made is not result and activation is not None:
            inputs = [made, *activation.inputs[1:]]
            attributes = list(activation.attributes.values())
            kind = activation.op_type
            nodes.append(
                ir.Node("", kind, inputs, attributes, outputs=[result], name=_name(result, kind))
            )
        self.graph.insert_before(before, nodes)
        if name in self._convs:
            old = self._convs[name]
            self._convs[made.name or ""] = replace(
                old,
                weight=_taken(old.weight, order),
                scales=old.scales[order],
                bias=_taken(old.bias, order),
                bias_scales=old.bias_scales[order],
            )

    def part(self, conv: ir.Node, suffix: str) -> tuple[ir.Value, ir.Value]:
        """Part what a Conv computes, with its activation, from what is read under its name.

        The first is what it computes, under a new name; the second has the old name and its
        readers, and waits for an operator that makes it.
        """
        made = fused(conv).output
        name = made.name or ""
        read = self.stand_in(made)
        made.name = g.free_name(self.graph, f"{name}_{suffix}")
        self._know(made.name, name)
        if name in self._convs:
            self._convs[made.name] = self._convs.pop(name)
        return made, read

    def _know(self, name: str, like: str) -> None:
        if self._activations is not None and like in self._activations:
            self._activations[name] = self._activations[like]

    def _replace(
        self, conv: ir.Node, index: int, change: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        value = conv.inputs[index]
        array = g.constant(value)
        assert value is not None
        assert array is not None
        conv.replace_input_with(
            index, g.new_constant(self.graph, f"{value.name}_lowered", change(array))
        )


def set_channels(value: ir.Value, channels: int) -> None:
    """Give a value of rank 4 another number of channels."""
    n, _, height, width = g.shape_of(value)
    value.shape = ir.Shape((n, channels, height, width))


def _name(result: ir.Value, kind: str) -> str:
    """A node's: other nodes are called by what they make."""
    return f"{result.name}/{kind}"


def _taken(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    found: np.ndarray = array[order]
    found[order == NOTHING] = 0
    return found
