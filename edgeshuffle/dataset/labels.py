"""Class folders' names to class indices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import DataError, UnknownNameError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


CLASS_ORDERS: Final = ("index", "sorted")
# Longer numbers are of no class either.
_DIGITS: Final = 9
_LISTED: Final = 10
_BEYOND: Final = 10**_DIGITS
_WORDNET_ID: Final = re.compile(r"n\d{8}")


def indices_of_names(names: Sequence[str], class_names: Sequence[str]) -> list[int] | None:
    """Each name's class index, or None where one of them is no class name."""
    # Names that differ in their case only must be written as they are.
    same = _plain if len(set(map(_plain, class_names))) == len(set(class_names)) else _written
    known = {same(name): index for index, name in enumerate(class_names)}
    found = [known.get(same(name)) for name in names]
    return [index for index in found if index is not None] if None not in found else None


def are_wordnet_ids(names: Sequence[str]) -> bool:
    """Whether all names are like ImageNet's folders, whose sorted order is that of its classes."""
    return all(map(_WORDNET_ID.fullmatch, names))


def _plain(name: str) -> str:
    return re.sub(r"[/_\s-]+", "_", name.strip()).casefold()


def _written(name: str) -> str:
    return name.replace("/", "_")


@dataclass(frozen=True)
class ClassOrder:
    """How class folders were told apart: `rule` is `names`, `index` or `sorted`.

    `note` says so where another rule would have given other labels, or where classes have no
    folder: images of some classes will do.
    """

    rule: str
    note: str | None = None


def class_indices(
    folders: Sequence[str],
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    order: str | None = None,
) -> tuple[dict[str, int], ClassOrder] | None:
    """Map class folders to class indices; None where nothing is known of the classes.

    The names are class names, whatever their case and with `_` for `/`, or indices. Exactly
    `num_classes` folders are taken in sorted order, as torchvision's ImageFolder does, if the
    classes have no names or the folders are called by WordNet ids, as ImageNet's are. `order`
    decides: `index` takes names as numbers, `sorted` as text, whatever they are. Without it,
    numbers are indices. Raises DataError for any other set of names.
    """
    if order not in (None, *CLASS_ORDERS):
        raise UnknownNameError(
            f"Unknown class order '{quoted(str(order))}'. Known: {', '.join(CLASS_ORDERS)}."
        )
    if order == "sorted":
        return _sorted(folders, num_classes), ClassOrder("sorted")
    digits = all(name.isascii() and name.isdecimal() for name in folders)
    if order == "index" and not digits:
        wordy = [name for name in sorted(folders) if not (name.isascii() and name.isdecimal())]
        several = len(wordy) > 1
        raise DataError(
            f"The class folder{'s' if several else ''} {listed(wordy)} "
            f"{'are' if several else 'is'} no ind{'ices' if several else 'ex'}. Leave "
            "`class_order=index` out, or name folders 0, 1, ..."
        )
    known = None if order else indices_of_names(folders, class_names or ())
    if known is not None:
        missing = [name for index, name in enumerate(class_names or ()) if index not in known]
        note = _without_folder(missing, len(class_names or ()))
        return dict(zip(folders, known, strict=True)), ClassOrder("names", note)
    if digits:
        found = {name: int(name) if len(name) <= _DIGITS else _BEYOND for name in folders}
        note = None if order else _other_order(found, num_classes)
        return found, ClassOrder("index", note or _indices_without_folder(found, num_classes))
    if num_classes is None and class_names is None:
        return None
    nameless = class_names is None or are_wordnet_ids(folders)
    if len(folders) == num_classes and nameless:
        return _sorted(folders, num_classes), ClassOrder("sorted")
    strange = unknown_names(sorted(folders), class_names or ())
    several = len(strange) > 1
    example = f" such as '{class_names[0]}'" if class_names else ""
    raise DataError(
        f"The class folder{'s' if several else ''} {listed(strange)} "
        f"{'are no classes' if several else 'is no class'} of the model. Name folders by class"
        f"{example}, by index (0, 1, ...), or, for ImageNet, by WordNet id (n01440764, ...)."
    )


def unknown_names(names: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """Those that are no class names."""
    return [name for name in names if indices_of_names([name], class_names) is None]


def listed(names: Sequence[str]) -> str:
    """Some names, quoted, and how many more there are."""
    shown = ", ".join(f"'{quoted(name, 60)}'" for name in names[:_LISTED])
    more = len(names) - _LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def _without_folder(missing: Sequence[str], classes: int) -> str | None:
    """What to know where not all classes have images."""
    if not missing:
        return None
    have = "has" if len(missing) == 1 else "have"
    return f"class folders: {len(missing)} of {classes} classes {have} none: {listed(missing)}"


def _indices_without_folder(indices: dict[str, int], num_classes: int | None) -> str | None:
    if num_classes is None:
        return None
    missing = sorted(set(range(num_classes)) - set(indices.values()))
    return _without_folder([str(index) for index in missing], num_classes)


def _sorted(folders: Sequence[str], num_classes: int | None) -> dict[str, int]:
    if num_classes is not None and len(folders) != num_classes:
        raise DataError(
            f"There are {len(folders)} class folders for {num_classes} classes, so their sorted "
            "order tells nothing. Add those that are missing, if need be empty, or name folders by "
            "index."
        )
    return {name: index for index, name in enumerate(sorted(folders))}


def _other_order(indices: dict[str, int], num_classes: int | None) -> str | None:
    """What to know where sorted names would be another order of all classes, too."""
    if len(indices) != num_classes:
        return None
    for place, name in enumerate(sorted(indices)):
        if indices[name] != place:
            return (
                f"class folders: names are indices, so '{name}' is class {indices[name]}; "
                f"torchvision's ImageFolder makes it {place} (`class_order=sorted`)"
            )
    return None
