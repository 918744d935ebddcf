"""A run while it is measured: what is known of it, and the file that keeps it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgeshuffle.errors import ArtifactError, DeviceError
from edgeshuffle.runner.bench.events import (
    Block,
    Counted,
    Ended,
    Finished,
    Resumed,
    from_line,
    to_line,
)
from edgeshuffle.runner.bench.history import History
from edgeshuffle.runner.bench.journal import Journal, new_journal
from edgeshuffle.runner.bench.resume import CutOff, find
from edgeshuffle.untrusted import UntrustedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgeshuffle.runner.bench.events import Event, Run


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Both hold the same events; `notes` are sentences for the report."""

    history: History
    journal: Journal
    notes: tuple[str, ...] = ()

    @property
    def problem(self) -> ArtifactError | None:
        """That not all of it could be written, if so."""
        if self.journal.problem is None:
            return None
        return ArtifactError(
            f"Cannot write all records to {self.journal.path}: {self.journal.problem}. What was "
            "measured is shown but not kept. Make room and measure again."
        )

    def keep(self, event: Event) -> None:
        """Add what happened; raises DeviceError for what no reader would take.

        What is shown is what was read back, so that it is the same when it is shown again.
        """
        try:
            line = to_line(event)
            event = from_line(line)
            self.history.add(event)
        except UntrustedError as err:
            raise DeviceError(
                f"The device replied what cannot be ({err}). Check it and run it again."
            ) from err
        self.journal.append(line, sample=isinstance(event, Block | Counted | Finished))


@contextmanager
def begin(
    folder: Path, run: Run, versions: Sequence[str], *, fresh: bool = False
) -> Iterator[Recording]:
    """A recording of a run, which goes on with one of the same work that was cut off, unless
    `fresh`. `versions` are those of each file's runtime, which must be as they were.
    """
    recording = _open(folder, run, versions, fresh=fresh)
    journal = recording.journal
    with journal:
        try:
            yield recording
            recording.keep(Ended(reason="finished"))
        except KeyboardInterrupt:
            recording.keep(Ended(reason="interrupted"))
            raise
        except DeviceError as err:
            if not journal.begun:
                raise
            onward = "" if run.mode == "sustained" else " Run it again to go on from there."
            raise DeviceError(
                f"{err} What was measured until then is in {journal.path}.{onward}"
            ) from err


def _open(folder: Path, run: Run, versions: Sequence[str], *, fresh: bool) -> Recording:
    found = None if fresh or run.kind != "times" else find(folder, run)
    notes = [found] if isinstance(found, str) else []
    if isinstance(found, CutOff):
        other = _other_version(found.history, versions)
        if other is None:
            recording = Recording(history=found.history, journal=found.journal)
            recording.keep(Resumed(started=run.started))
            return recording
        found.journal.close()
        notes.append(f"The run in {found.journal.path} that was cut off is not continued: {other}")
    recording = Recording(
        history=History(),
        journal=new_journal(folder, run.model, datetime.now(UTC)),
        notes=tuple(notes),
    )
    recording.keep(run)
    return recording


def _other_version(history: History, versions: Sequence[str]) -> str | None:
    for file, version in zip(history.files, versions, strict=True):
        if file.loaded is not None and file.loaded.runtime_version != version:
            return f"{file.file.runtime} was {file.loaded.runtime_version} and is {version} now"
    return None
