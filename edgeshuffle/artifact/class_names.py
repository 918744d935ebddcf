"""Class names by index, one a line: the one reader and the one writer of such files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import DataError
from edgeshuffle.untrusted import UntrustedError, clean, quoted, read_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_BYTES: Final = 2**20


def parse_class_names(raw: bytes) -> tuple[str, ...]:
    """Names of the lines of UTF-8 text; only a newline ends a line. Raises UntrustedError."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise UntrustedError(f"not UTF-8 text: {err}") from err
    lines = text.removesuffix("\n").split("\n") if text else []
    return tuple(clean(line.removesuffix("\r")) for line in lines)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Names of a text file, one a line in the order of the classes; raises DataError."""
    try:
        names = parse_class_names(read_bounded(path, _MOST_BYTES))
    except (OSError, UntrustedError) as err:
        raise DataError(
            f"{path} is no file of class names ({quoted(str(err), 160)}). Give `labels` a text "
            "file with one name a line."
        ) from err
    if not names or not all(name.strip() for name in names):
        raise DataError(f"{path} has an empty line or nothing in it. Name each class in one line.")
    return names


def class_names_text(names: Sequence[str]) -> bytes:
    """What `parse_class_names` reads the same names from, cleaned of control characters.

    Raises DataError for a name that is empty or has a line break, which would shift all others.
    """
    for index, name in enumerate(names):
        if "\n" in name or "\r" in name or not clean(name).strip():
            raise DataError(
                f"The name of class {index}, '{quoted(name)}', is empty or has a line break. Name "
                "each class in one line."
            )
    return "".join(f"{clean(name)}\n" for name in names).encode()
