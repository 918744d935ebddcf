"""Pictures with their labels drawn in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.runner.classify import Guess

# No picture is smaller, as nobody could read it.
_LEAST: Final = 256
_LINES: Final = 3
_LONGEST: Final = 240
_JPEG: Final = (".jpg", ".jpeg")


class LabelledPictures:
    """Writes pictures into a folder, under their names: JPEG as JPEG, all others as PNG."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()

    def add(self, name: str, picture: Image.Image, guesses: Sequence[Guess]) -> None:
        """Draw one picture's likeliest classes into it."""
        lines = [f"{one.name} {100 * one.probability:.1f} %" for one in guesses[:_LINES]]
        path = self._folder / self._free(Path(name).name)
        _drawn(picture, lines).save(path, quality=90)

    def _free(self, name: str) -> str:
        """A name that no other picture has here."""
        known = Path("stdin.png" if name == "-" else name)
        suffix = known.suffix if known.suffix.lower() in _JPEG else ".png"
        # Room for a number and a suffix in the 255 bytes of a name.
        stem = os.fsencode(known.stem)[:_LONGEST].decode("utf-8", "ignore")
        count, found = 1, f"{stem}{suffix}"
        while found.casefold() in self._taken:
            count += 1
            found = f"{stem}_{count}{suffix}"
        self._taken.add(found.casefold())
        return found


def _drawn(picture: Image.Image, lines: Sequence[str]) -> Image.Image:
    """A copy with words on a dark band at its lower edge; enlarged where it is tiny."""
    picture = picture.convert("RGB")
    factor = -(-_LEAST // min(picture.size))
    if factor > 1 and max(picture.size) < _LEAST * 8:
        larger = (picture.width * factor, picture.height * factor)
        picture = picture.resize(larger, Image.Resampling.NEAREST)
    size = max(14, min(picture.size) // 16)
    font = ImageFont.load_default(size)
    pen = ImageDraw.Draw(picture, "RGBA")
    text = "\n".join(lines)
    _, _, _, bottom = pen.multiline_textbbox((0, 0), text, font)
    edge = size // 2
    top = picture.height - int(bottom) - 2 * edge
    pen.rectangle((0, top, picture.width, picture.height), (0, 0, 0, 160))
    pen.multiline_text((edge, top + edge // 2), text, (255, 255, 255), font)
    return picture
