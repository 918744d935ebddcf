"""The head in a checkpoint: fully connected layers that follow on each other, however named.

`fc`, `classifier.0`, `head.fc`, `output`, `class_out` or `fc.0` and `fc.3`: what is left of a set
of weights when the backbone is taken out, and has two dimensions. Batch norms among the layers of
an nn.Sequential are computed by the layer beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.zoo.head_norms import NORM_LEAVES, find_norms, fold_norm
from edgeshuffle.converter.zoo.layers import head_keys
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_MOST_LAYERS: Final = 6


@dataclass(frozen=True)
class Head:
    """A head's tensors by our keys, which keys of theirs they have, and a note where it is odd.

    `taken` are all keys that are in it, `doubts` what might be a part of it, too, and say how.
    """

    state: dict[str, Tensor]
    theirs: dict[str, str]
    notes: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a head may be: in the network's own set of tensors, or beside it."""

    tensors: Mapping[str, Tensor]
    beside: bool


def find_head(
    rest: Mapping[str, Tensor],
    outside: Mapping[str, Tensor],
    width: int,
    between: str,
    *,
    transposed: bool,
) -> Head:
    """The longest chain of fully connected layers that takes `width` numbers; empty if none does.

    It is in `rest`, what is unknown in the backbone's set of tensors, or else in `outside`, what is
    beside it. 1x1 convolutions are fully connected layers, too. `transposed` weights have inputs
    first.
    """
    for place in (Place(rest, beside=False), Place(outside, beside=True)):
        layers = _layers(place.tensors, transposed=transposed)
        chain = _chain(layers, width, ())
        if chain:
            break
    else:
        return Head({}, {})
    weights = {name: layers[name] for name in chain}
    biases = {name: place.tensors.get(f"{name}.bias") for name in chain}
    norms = find_norms(place.tensors, chain)
    taken = {f"{name}.{leaf}" for name in chain for leaf in ("weight", "bias")}
    for norm in norms:
        fold_norm(norm, weights, biases)
        taken |= {f"{norm.name}.{leaf}" for leaf in NORM_LEAVES}
    state, theirs = {}, {}
    for name, ours in zip(chain, head_keys(len(chain)), strict=True):
        for leaf, tensor in (("weight", weights[name]), ("bias", biases[name])):
            if tensor is not None:
                state[f"fc.{ours}{leaf}"] = tensor
                theirs[f"fc.{ours}{leaf}"] = f"{name}.{leaf}"
    notes = []
    if len(chain) > 1:
        names = ", ".join(f"'{quoted(name, 60)}'" for name in chain)
        notes.append(f"head: {names}, with {between} between, which the file does not tell")
    notes += [f"head: {norm.told}, by their numbers" for norm in norms]
    left = {key: value for key, value in outside.items() if key not in taken}
    doubts = _doubts(left, chain, layers, width, beside=place.beside, transposed=transposed)
    return Head(state, theirs, tuple(notes), frozenset(taken), doubts)


def _layers(tensors: Mapping[str, Tensor], *, transposed: bool) -> dict[str, Tensor]:
    """All matrices by the names of their layers, as people count them."""
    layers = {}
    for key, tensor in tensors.items():
        weight = _matrix(tensor, transposed=transposed)
        if key.rpartition(".")[2] == "weight" and weight is not None:
            layers[key.removesuffix(".weight").removesuffix("weight")] = weight
    return dict(sorted(layers.items(), key=_natural))


def _doubts(
    left: Mapping[str, Tensor],
    chain: tuple[str, ...],
    layers: Mapping[str, Tensor],
    width: int,
    *,
    beside: bool,
    transposed: bool,
) -> tuple[str, ...]:
    """Which of the tensors that are left beside the network its head may need."""
    widths = {width, *(layers[name].shape[0] for name in chain)}
    reads = width if beside else layers[chain[-1]].shape[0]
    found = {
        f"{name}.weight"
        for name, weight in _layers(left, transposed=transposed).items()
        if weight.shape[1] == reads
    }
    if beside:
        parent = _common_parent(chain)
        found |= {key for key in left if parent and key.startswith(f"{parent}.")}
        found |= {
            key
            for key, value in left.items()
            if key.rpartition(".")[2] == "running_mean" and value.numel() in widths
        }
    return tuple(key for key in left if key in found and not key.endswith("num_batches_tracked"))


def _common_parent(names: tuple[str, ...]) -> str:
    """The module that all of these are in."""
    parents = [name.split(".")[:-1] for name in names]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*parents, strict=False))
    return ".".join(parts[0] for parts in shared)


def _matrix(tensor: Tensor, *, transposed: bool) -> Tensor | None:
    if tensor.ndim == 4 and tuple(tensor.shape[2:]) == (1, 1):
        return tensor.flatten(1)
    if tensor.ndim != 2:
        return None
    return tensor.T if transposed else tensor


def _natural(item: tuple[str, Tensor]) -> list[tuple[int, str]]:
    """By names as people count: fc.10 follows fc.9."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]{1,9})", item[0])
    ]


def _chain(layers: Mapping[str, Tensor], width: int, taken: tuple[str, ...]) -> tuple[str, ...]:
    """The longest way through layers, each of which reads what the one before gives."""
    best = taken
    if len(taken) == _MOST_LAYERS:
        return best
    for name, weight in layers.items():
        if name not in taken and weight.shape[1] == width and weight.shape[0] > 0:
            longer = _chain(layers, weight.shape[0], (*taken, name))
            if len(longer) > len(best):
                best = longer
    return best
