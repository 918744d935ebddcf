"""Class names by index, one a line: the one reader and the one writer of such files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.errors import DataError
from edgeshuffle.untrusted import UntrustedError, clean, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_class_names(raw: bytes) -> tuple[str, ...]:
    """Names of the lines of UTF-8 text; only a newline ends a line. Raises UntrustedError."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise UntrustedError(f"not UTF-8 text: {err}") from err
    lines = text.removesuffix("\n").split("\n") if text else []
    return tuple(clean(line.removesuffix("\r")) for line in lines)


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
