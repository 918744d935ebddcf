"""Batch norms among a head's fully connected layers, and how the layers compute them.

y = a x + b with a = gamma / sqrt(var + eps) and b = beta - a mean. After a layer, a scales the rows
of its weights; before one, the columns, and its bias takes W b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

NORM_LEAVES: Final = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_EPS: Final = 1e-5


@dataclass(frozen=True)
class Norm:
    """A batch norm as y = scale x + shift, the layer that computes it, and on which side it is."""

    name: str
    scale: Tensor
    shift: Tensor
    layer: str
    after: bool

    @property
    def told(self) -> str:
        """Where it is, for a note."""
        side = "right after" if self.after else "right before"
        return f"'{quoted(self.name, 60)}' {side} '{quoted(self.layer, 60)}'"


def find_norms(tensors: Mapping[str, Tensor], chain: tuple[str, ...]) -> list[Norm]:
    """Batch norms whose number in an nn.Sequential tells where in the chain they are.

    Between two layers there is an activation, too, so that one that stands apart from both may be
    on either side of it: it is not found.
    """
    found = []
    places = dict(map(_numbered, chain))
    for key in tensors:
        name, _, leaf = key.rpartition(".")
        (parent, number), _ = _numbered(name)
        layer = places.get((parent, number - 1))
        after = layer is not None
        if leaf != "running_mean" or number < 0 or (after and (parent, number + 1) in places):
            continue
        if layer is None:
            layer = _following(places, parent, number)
        parts = [tensors.get(f"{name}.{leaf}") for leaf in NORM_LEAVES[:4]]
        width = tensors[key].numel()
        if layer is None or any(part is None or part.shape != (width,) for part in parts):
            continue
        gamma, beta, mean, variance = (part.double() for part in parts if part is not None)
        scale = gamma / torch.sqrt(variance + _EPS)
        found.append(Norm(name, scale, beta - scale * mean, layer, after))
    return found


def _numbered(name: str) -> tuple[tuple[str, int], str]:
    """Its parent and number there, -1 where it has none, and the name itself."""
    parent, _, number = name.rpartition(".")
    return (parent, int(number) if number.isdecimal() and len(number) < 10 else -1), name


def _following(places: Mapping[tuple[str, int], str], parent: str, number: int) -> str | None:
    """The layer that a norm is before: the next one if nothing is between, or the first of all."""
    numbers = sorted(n for where, n in places if where == parent and n >= 0)
    if not numbers:
        return None
    if number < numbers[0]:
        return places[parent, numbers[0]] if len(numbers) == len(places) else None
    return places.get((parent, number + 1))


def fold_norm(norm: Norm, weights: dict[str, Tensor], biases: dict[str, Tensor | None]) -> None:
    """Have its layer compute it; sizes that do not fit make no network, and are left for that."""
    weight = weights[norm.layer].double()
    bias = biases[norm.layer]
    old = torch.zeros(weight.shape[0], dtype=torch.double) if bias is None else bias.double()
    if norm.after:
        weights[norm.layer] = weight * norm.scale[:, None]
        biases[norm.layer] = old * norm.scale + norm.shift
    else:
        weights[norm.layer] = weight * norm.scale
        biases[norm.layer] = old + weight @ norm.shift
