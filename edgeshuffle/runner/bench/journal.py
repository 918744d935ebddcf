"""A records file while it is written: lines are added at its end and never changed.

The writer holds a lock on the file (flock, which ends with the process), so that no other bench
goes on with it meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from edgeshuffle.artifact import Artifact

# Writing out takes milliseconds, which must not stand between all blocks of a small model.
SYNC_SECONDS: Final = 1.0


class Journal:
    """The file at `path`, which comes into being with the first sample.

    Where a line cannot be written, it is kept here and tried again with the next one; `problem` is
    why, as long as there are such lines.
    """

    def __init__(self, path: Path, descriptor: int | None = None, size: int = 0) -> None:
        self.path = path
        self.problem: str | None = None
        self._descriptor = descriptor
        self._size = size
        self._waiting = b""
        self._worthwhile = False
        self._synced = 0.0

    @property
    def begun(self) -> bool:
        """Whether a line was written."""
        return self._size > 0

    def append(self, line: bytes, *, sample: bool) -> None:
        """Write a line, if there is a sample to be kept yet."""
        self._waiting += line
        self._worthwhile |= sample
        if self._worthwhile:
            self._write(sync=False)

    def close(self) -> None:
        """Write what waits and let go of the file; one without a whole line is removed."""
        if self._worthwhile:
            self._write(sync=True)
        if self._descriptor is not None:
            if not self._size:
                with suppress(OSError):
                    self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, *, sync: bool) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = _create(self.path)
            rest = self._waiting
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as err:
            self.problem = err.strerror or str(err)
            if self._descriptor is not None:
                # A part of a line would spoil the next one.
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
            return
        self._size += len(self._waiting)
        self._waiting, self.problem = b"", None
        if sync or time.monotonic() - self._synced > SYNC_SECONDS:
            # Pipes and some network file systems have no such thing.
            with suppress(OSError):
                os.fsync(self._descriptor)
            self._synced = time.monotonic()


def new_journal(folder: Path, model: str, now: datetime) -> Journal:
    """A file that no other run has."""
    name = re.sub(r"[^\w.-]+", "_", model)[:80]
    return Journal(folder / f"{name}-{now:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}.jsonl")


def lock(path: Path) -> int | None:
    """Open a file to add to it; None where another process does, or it cannot be written."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def records_folder(artifact: Artifact) -> Path:
    """The folder `bench` beside the artifact's: never inside it, whose files are checksummed."""
    folder = artifact.folder
    if folder.name in ("", ".."):
        folder = folder.resolve()
    return folder.parent / ("bench" if folder.name != "bench" else "bench-records")


@contextmanager
def writable_folder(home: Path) -> Iterator[Path]:
    """Yield the folder, which can be written, and is gone again if it stays empty, with those above
    it that were not there.

    Raises ArtifactError.
    """
    made = [home, *(folder for folder in home.parents if not folder.exists())]
    try:
        home.mkdir(exist_ok=True, parents=True)
        # Only writing tells; better now than after minutes of measuring.
        tempfile.TemporaryFile(dir=home).close()
    except OSError as err:
        raise ArtifactError(
            f"Cannot write {home}: {err.strerror}. Make room or move the artifact elsewhere."
        ) from err
    try:
        yield home
    finally:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _create(path: Path) -> int:
    # Another run that kept nothing may have removed the empty folder.
    path.parent.mkdir(exist_ok=True, parents=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
    # File systems without locks are rare; there, a run is not continued while another one writes
    # only because its file is the newest.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
