"""Class names: from the file that was given, the checkpoint, or class folders of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.dataset.folder import class_folders
from edgeshuffle.dataset.labels import are_wordnet_ids
from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_NAMES: Final = 100_000


def find_names(
    classes: Mapping[str, Any], folders: Sequence[Path], count: int | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Names of `count` classes, and what to note of where they are from.

    `classes` are entries of a checkpoint: names to indices, indices to names, or names in order;
    of those that are no names of these classes, the notes tell where there is nothing better.
    `folders` may hold images by class; their names are taken in sorted order, as torchvision's
    ImageFolder numbers them, unless they are numbers or WordNet ids.
    """
    if count is None:
        return None, ()
    notes = []
    for entry, value in classes.items():
        names = _names_of(value)
        if names is not None and len(names) == count:
            return names, (f"labels: '{entry}' of the checkpoint (`labels` sets them)",)
        if value:
            has = "no list of names" if names is None else f"{len(names)} names"
            notes.append(
                f"labels: '{entry}' of the checkpoint has {has} for {count} classes, "
                "and is not used"
            )
    for folder in folders:
        found = class_folders(folder)
        named = not are_wordnet_ids(found) and not all(name.isdecimal() for name in found)
        if len(found) == count and named:
            note = f"labels: the class folders of {folder}, by name (`labels` sets them)"
            return tuple(map(clean, found)), (*notes, note)
    return None, tuple(notes)


def check_count(labels: Sequence[str], count: int) -> None:
    """Raise WeightsError where there are too few or too many names."""
    if len(labels) != count:
        raise WeightsError(
            f"There are {len(labels)} class names for {count} classes. Give `labels` a file that "
            "names each class once, or leave it out."
        )


def _names_of(value: Any) -> tuple[str, ...] | None:
    """Names by index, if that is what an entry holds: each once, and all of them."""
    if isinstance(value, Mapping):
        if len(value) > _MOST_NAMES:
            return None
        pairs = [_index_and_name(a, b) for a, b in value.items()]
        if not all(type(index) is int and isinstance(name, str) for index, name in pairs):
            return None
        by_index = dict(pairs)
        if sorted(by_index) != list(range(len(value))):
            return None
        value = [by_index[index] for index in range(len(value))]
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST_NAMES:
        return None
    names = tuple(clean(name) for name in value if isinstance(name, str))
    return names if len(names) == len(value) and all(name.strip() for name in names) else None


def _index_and_name(key: Any, value: Any) -> tuple[Any, Any]:
    """Of an entry in either direction; JSON makes texts of indices that are keys."""
    if not isinstance(key, str):
        return key, value
    if isinstance(value, str) and key.isdecimal() and len(key) < 7:
        return int(key), value
    return value, key
