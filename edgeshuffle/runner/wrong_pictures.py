"""A folder of the pictures that were classified wrong, with what they are and were taken for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.dataset.pictures import Pictures
    from edgeshuffle.runner.mistakes import Wrong

_STRANGE: Final = re.compile(r"[^\w.+-]+")
_LONGEST: Final = 40
# Three such parts and what is between them make a name of at most 255 bytes.
_MOST_BYTES: Final = 72


def write_wrong_pictures(
    folder: Path, wrong: Sequence[Wrong], pictures: Pictures, labels: Sequence[str] | None
) -> None:
    """Copy pictures into an empty folder, named by rank, own class, given class and name.

    Rows of an array become PNG. Raises DataError for a picture that cannot be read any more.
    """
    digits = len(str(len(wrong)))
    for rank, one in enumerate(wrong, 1):
        suffix, content = pictures.encoded(one.number)
        truth, given = (_plain(index, labels) for index in (one.truth, one.given))
        name = _short(pictures.name(one.number).rsplit("/", 1)[-1].removesuffix(suffix))
        target = folder / f"{rank:0{digits}d}_{truth}_as_{given}_{name}{suffix.lower()}"
        target.write_bytes(content)


def _plain(index: int, labels: Sequence[str] | None) -> str:
    return _short(labels[index]) if labels is not None else str(index)


def _short(text: str) -> str:
    """Part of a file's name, in letters, digits and what harms nowhere."""
    plain = _STRANGE.sub("-", text)[:_LONGEST].encode()[:_MOST_BYTES].decode("utf-8", "ignore")
    return plain.strip("-.") or "_"
