"""Class folders' names to class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence


def class_indices(
    folders: Sequence[str],
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[str, int] | None:
    """Map class folders to class indices; None where nothing is known of the classes.

    The names are class names (with `_` for `/`), or indices, or, where there are exactly
    `num_classes` folders, in sorted order, as torchvision's ImageFolder has it. Raises DataError
    for any other set of names.
    """
    known = {name.replace("/", "_"): index for index, name in enumerate(class_names or ())}
    strangers = sorted(name for name in folders if name not in known)
    if not strangers:
        return {name: known[name] for name in folders}
    if all(name.isascii() and name.isdecimal() for name in folders):
        return {name: int(name) for name in folders}
    if num_classes is None and class_names is None:
        return None
    some_known = len(strangers) < len(folders)
    if len(folders) == num_classes and not some_known:
        return {name: index for index, name in enumerate(sorted(folders))}
    example = f" such as '{next(iter(known))}'" if known else ""
    raise DataError(
        f"The class folder '{strangers[0]}' is no class of the model. Name folders by class"
        f"{example}, by index (0, 1, ...), or have exactly {num_classes or len(known)} folders "
        f"that sort in class order (there are {len(folders)})."
    )
