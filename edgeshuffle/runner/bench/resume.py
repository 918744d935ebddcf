"""A run that was cut off is continued by the next one that would measure the same."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.runner.bench.journal import Journal, lock
from edgeshuffle.runner.bench.reading import read_history, read_run
from edgeshuffle.untrusted import UntrustedError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.runner.bench.events import Run
    from edgeshuffle.runner.bench.history import History


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """What there is of a run, and its file, to go on with."""

    history: History
    journal: Journal


def find(folder: Path, run: Run) -> CutOff | str | None:
    """The newest run of the same work, if it was cut off; a sentence where it cannot be continued.

    A device that was lost and a process that was ended cut off; Ctrl-C does not, since somebody
    wanted it to end.
    """
    for path in _newest_first(folder):
        kept = read_run(path)
        if kept is not None and kept.same_work(run):
            return _open(path, run)
    return None


def _open(path: Path, run: Run) -> CutOff | str | None:
    descriptor = lock(path)
    if descriptor is None:
        return None
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            history, whole = read_history(file)
        cut_off = not history.ended and not history.complete
        if cut_off and run.mode != "sustained":
            # What there is of a line that was cut off.
            if whole < os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, whole)
            return CutOff(history=history, journal=Journal(path, descriptor, whole))
    except (UntrustedError, OSError):
        cut_off = False
    os.close(descriptor)
    if cut_off:
        return f"The sustained run in {path} was cut off and is not continued: heat starts anew"
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = []
    for path in folder.glob("*.jsonl"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except OSError:
            continue
    return [path for _, path in sorted(found, reverse=True)]
