"""Layer-wise reconstruction: choose the weights and biases of one layer after the other.

The float and the quantized network run side by side from the input on, so each layer is fitted to
what the layers before it, quantized as they are by then, really hand on (Nagel et al.,
arXiv:2004.10568, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import is_conv, operator_of
from edgeshuffle.converter.operators.conv import convolve
from edgeshuffle.converter.operators.fused import fused, is_fused, results
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.operators.relu import activate
from edgeshuffle.converter.plan import QConv, QuantPlan
from edgeshuffle.converter.quant.simulate import fake_quantize, rounds
from edgeshuffle.dataset import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.images import Images

# Enough for a covariance of some hundred inputs; more images would need more memory and time.
IMAGES: Final = 256
_PLACES: Final = 24_000
_BATCH: Final = 16
_SEED: Final = 2018


@dataclass(frozen=True, eq=False)
class LayerProblem:
    """The reconstruction of one convolution: its weights as rows (O, K) float64, and its inputs.

    `real` are the float weights and `steps` those of the plan, both in steps of the plan's scales.
    `columns` are of the quantized network, (K, n) float32 for a dense layer, (G K, n) for one
    of G groups and (O K, n) for a depthwise one, with as many places of each of the `images` in
    turn; `float_columns` are the same places' of the float network.
    """

    node: ir.Node
    real: torch.Tensor
    steps: torch.Tensor
    columns: torch.Tensor
    float_columns: torch.Tensor
    images: int

    @property
    def means(self) -> torch.Tensor:
        """Mean of every column."""
        return self.columns.mean(1).double()

    @property
    def groups(self) -> int:
        """How many rows have inputs of their own: 1 for a dense layer, O for a depthwise one."""
        return len(self.real) if g.is_depthwise(self.node) else 1

    def covariance(self) -> torch.Tensor:
        """(1, K, K) for a dense layer, (O, K, K) for a depthwise one; the mean is the bias's."""
        centred = self.columns - self.means.float()[:, None]
        centred = centred.reshape(self.groups, self.real.shape[1], -1)
        return (centred @ centred.transpose(1, 2)).double() / centred.shape[2]

    def output_means(self, weights: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Mean output (O,) without bias of rows (O, K)."""
        if g.is_depthwise(self.node):
            return (weights * means.reshape(weights.shape)).sum(1)
        if g.is_grouped(self.node):
            rows = weights.reshape(g.integer(self.node, "group", 1), -1, weights.shape[1])
            return (rows @ means.reshape(len(rows), -1, 1)).flatten()
        return weights @ means

    def parts(self) -> list[LayerProblem]:
        """Of a grouped layer one dense problem a group, else only this."""
        if not g.is_grouped(self.node):
            return [self]
        count = g.integer(self.node, "group", 1)
        whole = (self.real, self.steps, self.columns, self.float_columns)
        real, steps, columns, floats = (torch.chunk(rows, count) for rows in whole)
        return [
            LayerProblem(self.node, real[k], steps[k], columns[k], floats[k], self.images)
            for k in range(count)
        ]


def reconstruct(
    builder: PlanBuilder, stage: str, choose: Callable[[LayerProblem], torch.Tensor]
) -> QuantPlan:
    """The builder's plan with weights that `choose` gives for each layer, and biases to match.

    Raises DataError and ModelError. The images are a seeded choice of at most IMAGES.
    """
    plan = builder.plan
    graph = builder.model.graph
    networks = _SideBySide(plan, _chosen(builder.images), choose)
    given = graph.inputs[0]
    networks.start(given)
    nodes = list(graph)
    needed = _before_layers(nodes)
    reads: dict[ir.Value, int] = {}
    for node in nodes:
        for _, value in g.data_inputs(node):
            reads[value] = reads.get(value, 0) + 1
    with torch.inference_mode():
        for done, node in enumerate(nodes):
            builder.progress(stage, done, len(nodes))
            if not is_fused(node) and node in needed:
                networks.step(node)
            for _, value in g.data_inputs(node):
                reads[value] -= 1
                if not reads[value]:
                    networks.forget(value)
    builder.progress(stage, len(nodes), len(nodes))
    return QuantPlan(plan.activations, networks.convs)


def _before_layers(nodes: Sequence[ir.Node]) -> set[ir.Node]:
    """The convolutions, and all whose values reach one."""
    found: set[ir.Node] = set()
    for node in reversed(nodes):
        readers = {reader for value in node.outputs for reader in value.consumers()}
        if is_conv(node) or readers & found:
            found.add(node)
    return found


def _chosen(images: Images) -> torch.Tensor:
    wanted = set(spread(np.zeros(len(images), np.int64), IMAGES).tolist())
    kept = [image for index, image in enumerate(images) if index in wanted]
    return torch.from_numpy(np.concatenate(kept))


class _SideBySide:
    def __init__(
        self, plan: QuantPlan, images: torch.Tensor, choose: Callable[[LayerProblem], torch.Tensor]
    ) -> None:
        self.plan = plan
        self.images = images
        self.choose = choose
        self.convs: dict[str, QConv] = dict(plan.convs)
        self.real: dict[ir.Value, torch.Tensor] = {}
        self.quantized: dict[ir.Value, torch.Tensor] = {}
        self.random = torch.Generator().manual_seed(_SEED)

    def start(self, value: ir.Value) -> None:
        self.real[value] = self.images
        self.quantized[value] = self._rounded(self.images, value)

    def forget(self, value: ir.Value) -> None:
        self.real.pop(value, None)
        self.quantized.pop(value, None)

    def step(self, node: ir.Node) -> None:
        if is_conv(node):
            self._conv(node)
            return
        sources = [value for _, value in g.data_inputs(node)]
        for values, changed in ((self.real, False), (self.quantized, rounds(node, self.plan))):
            outputs = operator_of(node).run(node, [values[source] for source in sources])
            for value, output in zip(results(node), outputs, strict=True):
                values[value] = self._rounded(output, value) if changed else output

    def _rounded(self, x: torch.Tensor, value: ir.Value) -> torch.Tensor:
        return fake_quantize(x, self.plan.activations[value.name or ""])

    def _conv(self, node: ir.Node) -> None:
        result, source, name = fused(node), node.inputs[0], node.outputs[0].name or ""
        assert source is not None
        weight = torch.from_numpy(np.array(g.constant(node.inputs[1]), np.float32))
        given = argument(node, 2)
        bias = torch.zeros(len(weight)) if given is None else torch.from_numpy(np.array(given))
        old = self.plan.convs[name]
        scales = torch.from_numpy(old.scales.astype(np.float64))
        places = self._places(node)
        layer = LayerProblem(
            node,
            weight.double().flatten(1) / scales[:, None],
            torch.from_numpy(old.weight.astype(np.float64)).flatten(1),
            self._columns(node, self.quantized[source], places),
            self._columns(node, self.real[source], places),
            len(self.images),
        )
        steps = torch.cat([self.choose(part) for part in layer.parts()])
        rows = weight.double().flatten(1)
        wanted = bias.double() + layer.output_means(rows, layer.float_columns.mean(1).double())
        offset = wanted - layer.output_means(steps * scales[:, None], layer.means)
        bias_scales = torch.from_numpy(old.bias_scales.astype(np.float64))
        whole = (offset / bias_scales).round().clamp(-(2.0**31) + 1, 2.0**31 - 1)
        self.convs[name] = QConv(
            steps.reshape(weight.shape).numpy().astype(np.int8),
            old.scales,
            whole.numpy().astype(np.int32),
            old.bias_scales,
        )
        used = (steps * scales[:, None]).float().reshape(weight.shape)
        shift = (whole * bias_scales).float()
        for values, w, b, quantizes in (
            (self.real, weight, bias.float(), False),
            (self.quantized, used, shift, True),
        ):
            batches = []
            for part in torch.split(values[source], _BATCH):
                output = activate(convolve(node, part, w, b), result.activation)
                batches.append(self._rounded(output, result.output) if quantizes else output)
            values[result.output] = torch.cat(batches)

    def _places(self, node: ir.Node) -> torch.Tensor:
        """Seeded places (N, k) in each image's output, at which its inputs are looked at."""
        size = int(np.prod(g.shape_of(node.outputs[0])[2:]))
        wanted = min(size, -(-_PLACES // len(self.images)))
        drawn = [torch.randperm(size, generator=self.random)[:wanted] for _ in self.images]
        return torch.stack(drawn)

    def _columns(self, node: ir.Node, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        weight = g.constant(node.inputs[1])
        assert weight is not None
        top, left, bottom, right = g.ints(node, "pads", (0, 0, 0, 0))
        down, across = g.ints(node, "strides", (1, 1))
        lower, further = g.ints(node, "dilations", (1, 1))
        width = g.shape_of(node.outputs[0])[3]
        padded = F.pad(x, (left, right, top, bottom))
        row, column = places // width * down, places % width * across
        found = []
        for y in range(weight.shape[2]):
            for z in range(weight.shape[3]):
                place = (row + y * lower) * padded.shape[3] + column + z * further
                chosen = place[:, None].expand(-1, padded.shape[1], -1)
                found.append(padded.flatten(2).gather(2, chosen).movedim(1, 0).flatten(1))
        return torch.stack(found, 1).flatten(0, 1)
