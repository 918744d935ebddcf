"""The head in a checkpoint: fully connected layers that follow on each other, however named.

`fc`, `classifier.0`, `head.fc`, `output`, `class_out` or `fc.0` and `fc.3`: what is left of a set
of weights when the backbone is taken out, and has two dimensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.zoo.layers import head_keys
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_MOST_LAYERS: Final = 6


@dataclass(frozen=True)
class Head:
    """A head's tensors by our keys, which keys of theirs they had, and a note where it is odd."""

    state: dict[str, Tensor]
    theirs: dict[str, str]
    notes: tuple[str, ...]


def find_head(rest: Mapping[str, Tensor], width: int, between: str, *, transposed: bool) -> Head:
    """The longest chain of fully connected layers that takes `width` numbers; empty if none does.

    1x1 convolutions are fully connected layers, too. `transposed` weights have inputs first.
    """
    layers = {}
    for key, tensor in rest.items():
        weight = _matrix(tensor, transposed=transposed)
        if key.rpartition(".")[2] == "weight" and weight is not None:
            layers[key.removesuffix(".weight").removesuffix("weight")] = weight
    chain = _chain(dict(sorted(layers.items(), key=_natural)), width, ())
    state, theirs = {}, {}
    for name, ours in zip(chain, head_keys(len(chain)), strict=True):
        state[f"fc.{ours}weight"] = layers[name]
        theirs[f"fc.{ours}weight"] = f"{name}.weight"
        bias = rest.get(f"{name}.bias")
        if bias is not None:
            state[f"fc.{ours}bias"] = bias
            theirs[f"fc.{ours}bias"] = f"{name}.bias"
    notes: tuple[str, ...] = ()
    if len(chain) > 1:
        names = ", ".join(f"'{quoted(name, 60)}'" for name in chain)
        notes = (f"head: {names}, with {between} between, which the file does not tell",)
    return Head(state, theirs, notes)


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
