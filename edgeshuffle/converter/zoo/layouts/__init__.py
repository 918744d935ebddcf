"""Layouts of checkpoints: how the keys of a code base map to ours, each a table of its own.

A pattern names a module. `{s}` is a stage (2 follows the stem), `{u}` a unit of it from 0, `{i}` an
index; `{s-1}` stands for one less. `{n}` counts units through all stages: a stage begins with each
unit that has a `branch1`, or, where none has, whose `compress` has another width than the last one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.untrusted import decode_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor

_FOLDER: Final = Path(__file__).parent
_PLACE: Final = re.compile(r"\{(\w)([+-]\d+)?\}")
_DIGITS: Final = "[0-9]{1,6}"
_LEAVES: Final = ("weight", "bias", "running_mean", "running_var")
# Counts of training and of thop, a profiler; no part of a network.
_COUNTS: Final = frozenset({"num_batches_tracked", "total_ops", "total_params"})


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A code base's names and what its networks do that weights do not tell (`network.Form`).

    A set of weights has the layout if it has the key `stem` and one that matches each of `marks`,
    regular expressions; of several layouts, the one with the most marks. `leaves` are its names for
    `weight`, `bias`, `running_mean` and `running_var` where they differ, `transposed` whether
    fully connected layers have inputs first. In a `detector`, entries that no key matches belong
    to what follows the backbone. `note` tells what its users should know.
    """

    name: str = ""
    family: str
    stem: str
    keys: dict[str, str]
    marks: tuple[str, ...] = ()
    leaves: dict[str, str] = field(default_factory=dict)
    transposed: bool = False
    detector: bool = False
    features: tuple[str, ...] = ()
    form: dict[str, str | float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Translated:
    """Tensors by our keys, what no pattern knows by its own, and `theirs` names one of our keys.

    `gaps` are modules that the numbers of those around them tell of, with nothing in them.
    """

    state: dict[str, Tensor]
    rest: dict[str, Tensor]
    theirs: Callable[[str], str]
    gaps: tuple[str, ...] = ()


def layout_names() -> tuple[str, ...]:
    """Names of all packaged layouts."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@cache
def load_layout(name: str) -> Layout:
    """Raises UnknownNameError."""
    if name not in layout_names():
        raise UnknownNameError(f"Unknown layout '{name}'. Known: {', '.join(layout_names())}.")
    layout = decode_toml((_FOLDER / f"{name}.toml").read_bytes(), Layout)
    object.__setattr__(layout, "name", name)
    return layout


def layouts() -> tuple[Layout, ...]:
    """All of them, those with the most marks first."""
    known = [load_layout(name) for name in layout_names()]
    return tuple(sorted(known, key=lambda layout: -len(layout.marks)))


@dataclass(frozen=True)
class _Pattern:
    """One line of `keys`, to be read in both directions."""

    theirs: str
    ours: str

    def read(self, module: str) -> dict[str, str] | None:
        """The places' values in a module's name of theirs, counted as we do."""
        return _read(self.theirs, module)


def _read(pattern: str, text: str) -> dict[str, str] | None:
    found = _expression(pattern).fullmatch(text)
    if found is None:
        return None
    values = {}
    for place in _PLACE.finditer(pattern):
        value = found[place[1]]
        values[place[1]] = str(int(value) - int(place[2])) if place[2] else value
    return values


def _write(pattern: str, values: Mapping[str, str]) -> str:
    def put(place: re.Match[str]) -> str:
        value = values[place[1]]
        return str(int(value) + int(place[2])) if place[2] else value

    return _PLACE.sub(put, pattern)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = []
    end = 0
    for place in _PLACE.finditer(pattern):
        number = f"{_DIGITS}(?:\\.{_DIGITS})?" if place[1] == "n" else _DIGITS
        parts += [re.escape(pattern[end : place.start()]), f"(?P<{place[1]}>{number})"]
        end = place.end()
    return re.compile("".join([*parts, re.escape(pattern[end:])]))


def translate(layout: Layout, state: Mapping[str, Tensor]) -> Translated:
    """Tensors with the keys of that layout to ours; what belongs to no network is dropped."""
    names = {layout.leaves.get(leaf, leaf): leaf for leaf in _LEAVES}
    patterns = [_Pattern(theirs, ours) for theirs, ours in layout.keys.items()]
    known: list[tuple[str, str, _Pattern, dict[str, str]]] = []
    rest = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if leaf in _COUNTS:
            continue
        read = next(((p, v) for p in patterns if (v := p.read(module)) is not None), None)
        if read is None or leaf not in names:
            rest[key] = value
        else:
            known.append((key, names[leaf], *read))
    units = _units(known, state)
    ours = {}
    for key, leaf, pattern, values in known:
        unit = dict(zip("su", units[values["n"]], strict=True)) if "n" in values else {}
        ours[f"{_write(pattern.ours, {**values, **unit})}.{leaf}"] = state[key]
    counted = {place: number for number, place in units.items()}

    def theirs(key: str) -> str:
        module, _, leaf = key.rpartition(".")
        for pattern in patterns:
            values = _read(pattern.ours, module)
            if values is None:
                continue
            if "{n}" in pattern.theirs:
                number = counted.get((values["s"], values["u"]))
                if number is None:
                    continue
                values["n"] = number
            return f"{_write(pattern.theirs, values)}.{layout.leaves.get(leaf, leaf)}"
        return key

    before = next((p.theirs.partition("{n}")[0] for p in patterns if "{n}" in p.theirs), "")
    return Translated(ours, rest, theirs, tuple(f"{before}{number}" for number in _gaps(units)))


def _gaps(numbers: Iterable[str]) -> Iterator[str]:
    """The first number of each gap among units that are counted through all stages."""
    inside: dict[str, set[int]] = {"": set()}
    for number in numbers:
        first, _, second = number.partition(".")
        inside[""].add(int(first))
        if second:
            inside.setdefault(f"{first}.", {-1}).add(int(second))
    for before, found in inside.items():
        for one, other in pairwise(sorted(found)):
            if other > one + 1:
                yield f"{before}{one + 1}"


def _units(
    known: list[tuple[str, str, _Pattern, dict[str, str]]], state: Mapping[str, Tensor]
) -> dict[str, tuple[str, str]]:
    """Stage and unit for every `{n}`."""
    numbers = {values["n"] for _, _, _, values in known if "n" in values}
    ordered = sorted(numbers, key=lambda number: tuple(map(int, number.split("."))))
    begins = {v["n"] for _, _, pattern, v in known if "n" in v and ".branch1." in pattern.ours}
    widths = {
        values["n"]: state[key].numel()
        for key, leaf, pattern, values in known
        if "n" in values and leaf == "bias" and ".compress." in pattern.ours
    }
    units: dict[str, tuple[str, str]] = {}
    stage, unit, width = 1, 0, None
    for number in ordered:
        new = number in begins if begins else widths.get(number, width) != width
        if new or not units:
            stage, unit = stage + 1, 0
        units[number] = (str(stage), str(unit))
        unit, width = unit + 1, widths.get(number, width)
    return units
