"""The page that comes with an app, put together from parts in `template/readme/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from edgeshuffle import __version__
from edgeshuffle.app.boards import BOARDS, on_32_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeshuffle.runner.classify.source import Candidate, Source

TEMPLATE: Final = Path(__file__).with_name("template")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the page is to tell of; `why_not_rpicam` is the reason why there is no JSON for it."""

    folder: str
    device: str
    systemd: bool
    rpicam: bool
    why_not_rpicam: str | None


def filled(name: str, words: Mapping[str, str]) -> str:
    """A template with its words."""
    return Template((TEMPLATE / name).read_text("utf-8")).substitute(words)


def readme(wanted: Wanted, source: Source, model: Candidate) -> str:
    """The page."""
    board, preprocess = BOARDS[wanted.device], source.preprocess
    height, width = preprocess.crop
    rows = []
    if source.labels is not None:
        rows.append("| `labels.txt` | names of the classes, one a line |")
    if board.packages:
        rows.append("| `requirements.txt` | the packages that this was made with |")
    words = {
        "model": source.name,
        "board": board.name,
        "classes": f"{len(source.labels)} classes" if source.labels else "classes by number",
        "precision": model.precision or model.path.suffix.removeprefix("."),
        "version": __version__,
        "folder": wanted.folder,
        "python": board.python,
        "bits": on_32_bits(model.runtime),
        "resize": str(preprocess.resize),
        "crop": f"{height} x {width}",
        "runtime": model.runtime,
        "file": model.path.name,
        "rows": "\n".join(rows),
        "why_not": wanted.why_not_rpicam or "",
    }
    words["install"] = filled(f"readme/{wanted.device}.md", words)
    words["api"] = filled(f"readme/{model.runtime}.md", words)
    words["extras"] = "".join(filled(f"readme/{name}.md", words) for name in _extras(wanted))
    return filled("readme/main.md", words).rstrip() + "\n"


def _extras(wanted: Wanted) -> list[str]:
    parts = []
    if wanted.rpicam:
        parts.append("rpicam" if wanted.why_not_rpicam is None else "no_rpicam")
    if wanted.systemd:
        parts.append("systemd")
    return parts
