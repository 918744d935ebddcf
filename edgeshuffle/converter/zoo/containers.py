"""Where in a checkpoint the network's tensors are: alone, in what training loops put around them.

A checkpoint may hold several sets, such as the weights and their moving average (`model_ema`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from pathlib import Path

# The weights that were trained come before averages of them.
_USUAL: Final = ("", "state_dict", "model_state_dict", "model_state", "model", "net", "module")
_FIRST_KEY: Final = "conv1.0.weight"
_KEYS: Final = (_FIRST_KEY, "stage2.0.branch2.0.weight", "conv5.0.weight", "fc.weight")
_DEEPEST: Final = 8
_MOST_MAPPINGS: Final = 1000
_MOST_BYTES: Final = 512 * 2**20


@dataclass(frozen=True)
class Found:
    """A network's tensors, under which name they lie (`key`), and what strings lie around them."""

    key: str
    state: dict[str, torch.Tensor]
    said: dict[str, str]

    @property
    def rank(self) -> int:
        """By which of several is taken, lowest first."""
        first = self.key.partition(".")[0]
        return _USUAL.index(first) if first in _USUAL else len(_USUAL)


def choose(loaded: Any, path: Path, key: str | None) -> tuple[Found, tuple[str, ...]]:
    """The set of tensors of that key, or else the usual one; and the keys of the others.

    Raises WeightsError where there is none, or none of that key.
    """
    found = _search(loaded)
    if not found:
        raise WeightsError(_why_none(loaded, path))
    if key is None:
        chosen = min(found, key=lambda one: one.rank)
    else:
        exact = [one for one in found if one.key == key]
        below = exact or [one for one in found if one.key.startswith(f"{key}.")]
        if len(below) != 1:
            raise WeightsError(
                f"{path} has {'several sets' if below else 'no set'} of weights at "
                f"'{quoted(key)}'. {_known(found)}"
            )
        chosen = below[0]
    _check(chosen, path)
    return chosen, tuple(quoted(one.key) for one in found if one is not chosen)


def _known(found: list[Found]) -> str:
    """What `key` may be; a set that lies at the top has no name, and is taken without one."""
    named = ", ".join(f"'{quoted(one.key)}'" for one in found if one.key)
    if not named:
        return "It holds one set, which has no name: leave `key` out."
    nameless = not all(one.key for one in found)
    return (
        f"`key` takes one of: {named}{' (without it: those without a name)' if nameless else ''}."
    )


def _search(loaded: Any) -> list[Found]:
    """All sets in a checkpoint, in its order; one that contains itself is entered once."""
    found = []
    entered: set[int] = set()
    waiting: list[tuple[str, Any, dict[str, str]]] = [("", loaded, {})]
    while waiting and len(entered) < _MOST_MAPPINGS:
        name, value, said = waiting.pop(0)
        if not isinstance(value, Mapping) or id(value) in entered:
            continue
        entered.add(id(value))
        named = {key: inner for key, inner in value.items() if isinstance(key, str)}
        said = {**said, **{key: inner for key, inner in named.items() if isinstance(inner, str)}}
        tensors = {key: inner for key, inner in named.items() if isinstance(inner, torch.Tensor)}
        for first in [key for key in tensors if f".{key}".endswith(f".{_FIRST_KEY}")]:
            prefix = first.removesuffix(_FIRST_KEY)
            state = {
                key.removeprefix(prefix): tensor
                for key, tensor in tensors.items()
                if key.startswith(prefix)
            }
            found.append(Found(".".join(filter(None, (name, prefix[:-1]))), state, said))
        if name.count(".") < _DEEPEST:
            waiting += [
                (f"{name}.{key}" if name else key, inner, said)
                for key, inner in named.items()
                if isinstance(inner, Mapping)
            ]
    return found


def _why_none(loaded: Any, path: Path) -> str:
    if not isinstance(loaded, Mapping):
        return (
            f"{path} holds a {type(loaded).__name__}, not a state dict. Save one: "
            "torch.save(model.state_dict(), FILE)."
        )
    return _lacks(path, _FIRST_KEY)


def _lacks(path: Path, key: str) -> str:
    return (
        f"{path} is no ShuffleNetV2 checkpoint: it has no '{key}'. Its keys must be "
        "torchvision's; for another network export it to ONNX and give it with `onnx`."
    )


def _check(found: Found, path: Path) -> None:
    for key in _KEYS:
        if key not in found.state:
            raise WeightsError(_lacks(path, key))
        if found.state[key].ndim < 2 or not found.state[key].numel():
            raise WeightsError(
                f"{path} has the shape {tuple(found.state[key].shape)} for '{key}', which is no "
                "weight of a ShuffleNetV2. Save it again."
            )
    for key, tensor in found.state.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise WeightsError(
                f"{path} holds a tensor without plain numbers in '{quoted(key)}'. Save it again."
            )
    # A tensor may repeat few stored numbers very often.
    total = sum(4 * tensor.numel() for tensor in found.state.values())
    if total > _MOST_BYTES:
        raise WeightsError(
            f"{path} holds weights of {total / 2**20:.0f} MiB, more than {_MOST_BYTES >> 20}: "
            "that is no ShuffleNetV2. Give another checkpoint."
        )
