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

    `note` says so where another rule would have given other labels.
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
        strange = next(n for n in sorted(folders) if not (n.isascii() and n.isdecimal()))
        raise DataError(
            f"The class folder '{quoted(strange)}' is no index. Leave `class_order=index` out, or "
            "name folders 0, 1, ..."
        )
    known = None if order else indices_of_names(folders, class_names or ())
    if known is not None:
        return dict(zip(folders, known, strict=True)), ClassOrder("names")
    if digits:
        found = {name: int(name) if len(name) <= _DIGITS else _BEYOND for name in folders}
        return found, ClassOrder("index", None if order else _other_order(found, num_classes))
    if num_classes is None and class_names is None:
        return None
    nameless = class_names is None or are_wordnet_ids(folders)
    if len(folders) == num_classes and nameless:
        return _sorted(folders, num_classes), ClassOrder("sorted")
    strange = next(n for n in sorted(folders) if indices_of_names([n], class_names or ()) is None)
    example = f" such as '{class_names[0]}'" if class_names else ""
    raise DataError(
        f"The class folder '{quoted(strange)}' is no class of the model. Name folders by class"
        f"{example}, by index (0, 1, ...), or, for ImageNet, by WordNet id (n01440764, ...)."
    )


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
