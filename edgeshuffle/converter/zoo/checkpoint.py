"""Where in a checkpoint the network's tensors are: alone, in what training loops put around them.

A checkpoint may hold several sets, such as the weights and their moving average (`model_ema`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from edgeshuffle.converter.zoo.inert import whole_module
from edgeshuffle.converter.zoo.layouts import layouts
from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.converter.zoo.layouts import Layout

# The weights that were trained come before averages of them.
_USUAL: Final = ("", "state_dict", "model_state_dict", "model_state", "model", "net", "module")
_DEEPEST: Final = 8
_MOST_MAPPINGS: Final = 1000
_MOST_BYTES: Final = 512 * 2**20
# Under which names training scripts keep their classes.
_CLASSES: Final = ("class_to_idx", "idx_to_class", "class_names", "classes", "names", "CLASSES")


# Beside the weights, where Lightning and OpenMMLab keep them.
_AROUND_CLASSES: Final = ("hyper_parameters", "datamodule_hyper_parameters", "meta", "dataset_meta")


@dataclass(frozen=True)
class Found:
    """A network's tensors, under which name they lie (`key`), and how they are named there.

    `outside` are tensors beside them that are in no set, such as a head of another name; `said` are
    strings around them, `classes` what an entry of a usual name for class names has.
    """

    key: str
    layout: Layout
    state: dict[str, torch.Tensor]
    outside: dict[str, torch.Tensor]
    said: dict[str, str]
    classes: Mapping[str, Any]

    @property
    def rank(self) -> int:
        """By which of several is taken, lowest first."""
        first = self.key.partition(".")[0]
        return _USUAL.index(first) if first in _USUAL else len(_USUAL)


def choose(
    loaded: Any, path: Path, key: str | None, layout: str | None = None
) -> tuple[Found, tuple[str, ...]]:
    """The set of tensors of that key, or else the usual one; and the keys of the others.

    Raises WeightsError where there is none, or none of that key or layout.
    """
    found = [one for one in _search(loaded) if layout in (None, one.layout.name)]
    if not found:
        raise WeightsError(_why_none(loaded, path, layout))
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
    waiting: list[tuple[str, Any, dict[str, str], dict[str, Any]]] = [("", loaded, {}, {})]
    while waiting and len(entered) < _MOST_MAPPINGS:
        name, value, said, classes = waiting.pop(0)
        if not isinstance(value, Mapping) or id(value) in entered:
            continue
        entered.add(id(value))
        named = {key: inner for key, inner in value.items() if isinstance(key, str)}
        said = {**said, **{key: inner for key, inner in named.items() if isinstance(inner, str)}}
        classes = {**classes, **_class_entries(named)}
        tensors = {key: inner for key, inner in named.items() if isinstance(inner, torch.Tensor)}
        sets = _sets(tensors)
        for prefix, layout in sets.items():
            state = {
                key.removeprefix(prefix): tensor
                for key, tensor in tensors.items()
                if key.startswith(prefix)
            }
            outside = {
                key: tensor
                for key, tensor in tensors.items()
                if not any(key.startswith(one) for one in sets)
            }
            where = ".".join(filter(None, (name, prefix[:-1])))
            found.append(Found(where, layout, state, outside, said, classes))
        if name.count(".") < _DEEPEST:
            waiting += [
                (f"{name}.{key}" if name else key, inner, said, classes)
                for key, inner in named.items()
                if isinstance(inner, Mapping)
            ]
    return found


def _class_entries(named: Mapping[str, Any], depth: int = 2) -> dict[str, Any]:
    """What may be class names, here or in what lies beside."""
    found: dict[str, Any] = {}
    for key in _AROUND_CLASSES:
        around = named.get(key)
        if isinstance(around, Mapping) and depth:
            found |= _class_entries(around, depth - 1)
    return {**found, **{key: named[key] for key in _CLASSES if key in named}}


def _sets(tensors: Mapping[str, torch.Tensor]) -> dict[str, Layout]:
    """By which prefixes sets of weights start, and the layout of each."""
    sets: dict[str, Layout] = {}
    stems: set[str] = set()
    for layout in layouts():
        for key in tensors:
            if key in stems or not f".{key}".endswith(f".{layout.stem}"):
                continue
            prefix = key.removesuffix(layout.stem)
            if prefix not in sets and _has_marks(layout, prefix, tensors):
                sets[prefix] = layout
                stems.add(key)
    return {
        prefix: sets[prefix]
        for key in tensors
        for prefix in sets
        if key == f"{prefix}{sets[prefix].stem}"
    }


def _has_marks(layout: Layout, prefix: str, tensors: Mapping[str, torch.Tensor]) -> bool:
    return all(
        any(re.fullmatch(mark, key[len(prefix) :]) for key in tensors if key.startswith(prefix))
        for mark in layout.marks
    )


def _why_none(loaded: Any, path: Path, layout: str | None) -> str:
    whole = whole_module(loaded, path)
    if whole is not None:
        return whole
    if not isinstance(loaded, Mapping):
        return (
            f"{path} holds a {type(loaded).__name__}, not a state dict. Save one: "
            "torch.save(model.state_dict(), FILE)."
        )
    if layout is not None:
        return f"{path} has no weights in the layout '{layout}'. Leave `layout` out to find it."
    names = ", ".join(sorted(one.name for one in layouts()))
    return (
        f"{path} is no ShuffleNet checkpoint: its keys are of no known layout ({names}). Rename "
        "them to torchvision's ('conv1.0.weight', ...), or export the network to ONNX and give it "
        "with `onnx`."
    )


def _check(found: Found, path: Path) -> None:
    for key, tensor in {**found.state, **found.outside}.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise WeightsError(
                f"{path} holds a tensor without plain numbers in '{quoted(key)}'. Save it again."
            )
    # A tensor may repeat few stored numbers very often.
    total = sum(4 * tensor.numel() for tensor in found.state.values())
    if total > _MOST_BYTES:
        raise WeightsError(
            f"{path} holds weights of {total / 2**20:.0f} MiB, more than {_MOST_BYTES >> 20}: "
            "that is no ShuffleNet. Give another checkpoint."
        )
