"""Layer-wise reconstruction: choose the weights and biases of one layer after the other.

The float and the quantized network run side by side from the input on, so each layer is fitted to
what the layers before it, quantized as they are by then, really hand on (Nagel et al.,
arXiv:2004.10568, section 3).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
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
from edgeshuffle.converter.plan import QuantPlan
from edgeshuffle.converter.quant.layer import FOLDS, LayerProblem
from edgeshuffle.converter.quant.simulate import fake_quantize, rounds
from edgeshuffle.dataset import spread
from edgeshuffle.host.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QConv
    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.images import Images

    Choose = Callable[[LayerProblem], torch.Tensor]
    Values = list[torch.Tensor]

# Enough for a covariance of some hundred inputs; more images would need more memory and time.
IMAGES: Final = 256
_PLACES: Final = 24_000
# Of a small covariance, as of depthwise layers, more would tell nothing new.
_LEAST_PLACES: Final = 8_000
_PLACES_AN_INPUT: Final = 128
_BATCH: Final = 16
_SEED: Final = 2018


def reconstruct(builder: PlanBuilder, choose: Choose) -> QuantPlan:
    """The builder's plan with weights that `choose` gives for each layer, and biases to match.

    Raises DataError and ModelError. The images are a seeded choice of at most IMAGES.
    """
    plan = builder.plan
    graph = builder.model.graph
    # They are large, and what is measured from here on is measured anew.
    builder.sampled = None
    nodes = list(graph)
    needed = _before_layers(nodes)
    reads: dict[ir.Value, int] = {}
    for node in nodes:
        for _, value in g.data_inputs(node):
            reads[value] = reads.get(value, 0) + 1
    with Workers() as workers:
        networks = _SideBySide(plan, _chosen(builder.images, workers), choose, workers)
        networks.start(graph.inputs[0])
        for done, node in enumerate(nodes):
            builder.tell(done, len(nodes))
            if not is_fused(node) and node in needed:
                networks.step(node)
            for _, value in g.data_inputs(node):
                reads[value] -= 1
                if not reads[value]:
                    networks.forget(value)
    builder.tell(len(nodes), len(nodes))
    return QuantPlan(plan.activations, networks.convs)


def _before_layers(nodes: Sequence[ir.Node]) -> set[ir.Node]:
    """The convolutions, and all whose values reach one."""
    found: set[ir.Node] = set()
    for node in reversed(nodes):
        readers = {reader for value in node.outputs for reader in value.consumers()}
        if is_conv(node) or readers & found:
            found.add(node)
    return found


def _chosen(images: Images, workers: Workers) -> list[torch.Tensor]:
    """Batches, of which each fold's images follow each other: every FOLDS-th of those given."""
    wanted = spread(np.zeros(len(images), np.int64), IMAGES)
    order = np.concatenate([wanted[fold::FOLDS] for fold in range(FOLDS)]).tolist()
    found = torch.from_numpy(np.concatenate(workers.all(lambda index: images[index], order)))
    return list(torch.split(found, _BATCH))


class _SideBySide:
    """Values are lists of batches, of which each is one worker's: the number of cores changes
    nothing of what comes out.
    """

    def __init__(self, plan: QuantPlan, images: Values, choose: Choose, workers: Workers) -> None:
        self.plan = plan
        self.images = images
        self.count = sum(map(len, images))
        self.choose = choose
        self.workers = workers
        self.convs: dict[str, QConv] = dict(plan.convs)
        self.real: dict[ir.Value, Values] = {}
        self.quantized: dict[ir.Value, Values] = {}
        self.random = torch.Generator().manual_seed(_SEED)

    def start(self, value: ir.Value) -> None:
        self.real[value] = self.images
        self.quantized[value] = [self._rounded(batch, value) for batch in self.images]

    def forget(self, value: ir.Value) -> None:
        self.real.pop(value, None)
        self.quantized.pop(value, None)

    def step(self, node: ir.Node) -> None:
        if is_conv(node):
            self._conv(node)
            return
        sources = [value for _, value in g.data_inputs(node)]
        made = results(node)
        for values, changed in ((self.real, False), (self.quantized, rounds(node, self.plan))):
            given = zip(*(values[source] for source in sources), strict=True)
            found = self.workers.all(partial(self._run, node, made if changed else ()), given)
            values.update(zip(made, map(list, zip(*found, strict=True)), strict=True))

    def _run(
        self, node: ir.Node, rounded: Sequence[ir.Value], inputs: Sequence[torch.Tensor]
    ) -> Values:
        outputs = operator_of(node).run(node, list(inputs))
        if not rounded:
            return outputs
        return [self._rounded(x, value) for x, value in zip(outputs, rounded, strict=True)]

    def _rounded(
        self, x: torch.Tensor, value: ir.Value, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        return fake_quantize(x, self.plan.activations[value.name or ""], out)

    def _conv(self, node: ir.Node) -> None:
        result, source, name = fused(node), node.inputs[0], node.outputs[0].name or ""
        assert source is not None
        weight = torch.from_numpy(np.array(g.constant(node.inputs[1]), np.float32))
        given = argument(node, 2)
        bias = torch.zeros(len(weight)) if given is None else torch.from_numpy(np.array(given))
        old = self.plan.convs[name]
        scales = torch.from_numpy(old.scales.astype(np.float64))
        places = self._places(node, weight[0].numel())
        layer = LayerProblem(
            node,
            weight.double().flatten(1) / scales[:, None],
            torch.from_numpy(old.weight.astype(np.float64)).flatten(1),
            self._columns(node, self.quantized[source], places),
            self._columns(node, self.real[source], places),
            self.count,
            self.workers,
        )
        steps = torch.cat([self.choose(part) for part in layer.parts()])
        rows = weight.double().flatten(1)
        wanted = bias.double() + layer.output_means(rows, layer.float_means)
        offset = wanted - layer.output_means(steps * scales[:, None], layer.means)
        bias_scales = torch.from_numpy(old.bias_scales.astype(np.float64))
        whole = (offset / bias_scales).round().clamp(-(2.0**31) + 1, 2.0**31 - 1)
        self.convs[name] = replace(
            old,
            weight=steps.reshape(weight.shape).numpy().astype(np.int8),
            bias=whole.numpy().astype(np.int32),
        )
        used = (steps * scales[:, None]).float().reshape(weight.shape)
        shift = (whole * bias_scales).float()

        def real(x: torch.Tensor) -> torch.Tensor:
            return activate(convolve(node, x, weight, bias.float()), result.activation)

        def quantized(x: torch.Tensor) -> torch.Tensor:
            output = activate(convolve(node, x, used, shift), result.activation)
            return self._rounded(output, result.output, out=output)

        self.real[result.output] = self.workers.all(real, self.real[source])
        self.quantized[result.output] = self.workers.all(quantized, self.quantized[source])

    def _places(self, node: ir.Node, inputs: int) -> torch.Tensor:
        """Seeded places (N, k) in each image's output, at which its `inputs` are looked at."""
        size = int(np.prod(g.shape_of(node.outputs[0])[2:]))
        places = min(_PLACES, max(_LEAST_PLACES, _PLACES_AN_INPUT * inputs))
        wanted = min(size, -(-places // self.count))
        drawn = [torch.randperm(size, generator=self.random)[:wanted] for _ in range(self.count)]
        return torch.stack(drawn)

    def _columns(self, node: ir.Node, values: Values, places: torch.Tensor) -> torch.Tensor:
        weight = g.constant(node.inputs[1])
        assert weight is not None
        top, left, bottom, right = g.ints(node, "pads", (0, 0, 0, 0))
        down, across = g.ints(node, "strides", (1, 1))
        lower, further = g.ints(node, "dilations", (1, 1))
        width = g.shape_of(node.outputs[0])[3]
        stride = values[0].shape[3] + left + right
        taps = torch.tensor(
            [y * lower * stride + z * further for y, z in np.ndindex(weight.shape[2:])]
        )
        corners = places // width * down * stride + places % width * across
        found = torch.empty(values[0].shape[1], len(taps), *places.shape)

        def look(first: int) -> None:
            batch = values[first // _BATCH]
            if top or left or bottom or right:
                batch = F.pad(batch, (left, right, top, bottom))
            for index, image in enumerate(batch.flatten(2), first):
                chosen = (taps[:, None] + corners[index]).flatten()
                picked = image.index_select(1, chosen)
                found[:, :, index] = picked.reshape(len(picked), len(taps), -1)

        self.workers.all(look, range(0, self.count, _BATCH))
        return found.flatten(2).flatten(0, 1)
