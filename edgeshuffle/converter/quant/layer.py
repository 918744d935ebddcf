"""The reconstruction of one layer: what it computes, and what it reads in both networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from edgeshuffle.converter import graph as g

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.host.workers import Workers

FOLDS: Final = 4


class Moments(NamedTuple):
    """Sums over places: of inputs by inputs (G, K, K), of lost outputs by inputs (G, O / G, K)."""

    inputs: torch.Tensor
    lost: torch.Tensor


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
    workers: Workers

    @cached_property
    def means(self) -> torch.Tensor:
        """Mean of every column."""
        return self.columns.mean(1).double()

    @cached_property
    def float_means(self) -> torch.Tensor:
        """Mean of every column of the float network."""
        return self.float_columns.mean(1).double()

    @property
    def groups(self) -> int:
        """How many rows have inputs of their own: 1 for a dense layer, O for a depthwise one."""
        return len(self.real) if g.is_depthwise(self.node) else 1

    @cached_property
    def folds(self) -> list[Moments]:
        """Of every quarter of the images, about the means of all."""
        sizes = [len(part) for part in torch.arange(self.images).tensor_split(FOLDS)]
        places = self.columns.shape[1] // max(self.images, 1)
        ends = torch.tensor([0, *sizes]).cumsum(0) * places
        some = [slice(*pair) for pair in torch.stack([ends[:-1], ends[1:]], 1).tolist()]
        return self.workers.all(self._moments, some)

    def _moments(self, places: slice) -> Moments:
        groups, size = self.groups, self.real.shape[1]
        read = self.columns[:, places] - self.means.float()[:, None]
        lost = self.float_columns[:, places] - self.float_means.float()[:, None]
        lost.sub_(read)
        read, lost = read.reshape(groups, size, -1), lost.reshape(groups, size, -1)
        turned = read.transpose(1, 2)
        rows = self.real.reshape(groups, -1, size)
        return Moments((read @ turned).double(), rows @ (lost @ turned).double())

    def covariance(self) -> torch.Tensor:
        """(1, K, K) for a dense layer, (O, K, K) for a depthwise one; the mean is the bias's."""
        return torch.stack([part.inputs for part in self.folds]).sum(0) / self.columns.shape[1]

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
            LayerProblem(
                self.node, real[k], steps[k], columns[k], floats[k], self.images, self.workers
            )
            for k in range(count)
        ]
