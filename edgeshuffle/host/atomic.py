"""Files and folders that appear whole or not at all.

They are made in a hidden folder beside their place, which its maker holds locked: what the lock
does not hold is left from a process that was killed, and the next one removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import ArtifactError
from edgeshuffle.host.signals import deferred

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_NEW: Final = "new"
_OLD: Final = "old"
# mkdtemp's.
_RANDOM: Final = 8
_LONGEST_NAME: Final = 200
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`, renamed to it when the block ends well.

    A link is followed. Raises ArtifactError where the folder cannot be written, the disk is full or
    there is something that is no file, which a rename would replace, even a device; all other
    errors of the block are its own and pass.
    """
    advice = "Choose another place or make room."
    with _writing(target, advice):
        if target.exists() and not target.is_file():
            raise ArtifactError(f"{target} is there and no file. Choose another place.")
        if target.is_symlink():
            target = Path(os.path.realpath(target))
    with _staging(target, advice) as staging:
        # In a folder of its own, the file gets the usual permissions, which mkstemp's lack.
        content = staging.folder / _NEW
        with staging.writing():
            content.touch()
        with staging.block():
            yield content
        with staging.writing():
            content.replace(target)


def require_place(target: Path) -> None:
    """Raise ArtifactError where the folder that `target` is to lie in cannot be written or made.

    Nothing is made: this is for what is written only after long work.
    """
    advice = "Choose another place."
    with _writing(target, advice):
        folder = next(one for one in target.absolute().parents if one.exists())
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def atomic_folder(
    target: Path, *, overwrite: bool, advice: str = "Choose another `output` or make room."
) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, renamed to it when the block ends well.

    With `overwrite` an existing folder is replaced, and stays as it was if the block fails.
    Raises ArtifactError where `target` exists without `overwrite`, also where another process was
    faster, the parent cannot be written or the disk is full; all other errors of the block are
    its own and pass.
    """
    refuse_existing(target, overwrite=overwrite)
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    with _staging(target, advice) as staging:
        content = staging.folder / _NEW
        with staging.writing():
            content.mkdir()
        with staging.block():
            yield content
        with staging.writing(), deferred():
            while not _moved(content, target):
                refuse_existing(target, overwrite=overwrite)
                _set_aside(target, staging.folder)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """As `atomic_folder`, for a folder that is not there, or empty; raises ArtifactError."""
    refuse_used(target)
    with atomic_folder(target, overwrite=True, advice="Choose another place.") as folder:
        yield folder


def refuse_used(target: Path) -> None:
    """Raise ArtifactError for a folder with something in it, which is neither mixed nor lost, and
    for what is no folder or cannot be made.
    """
    require_place(target)
    with _writing(target, "Choose another place."):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ArtifactError(f"{target} is there and no empty folder. Choose another place.")


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raise ArtifactError if `target` exists and may not be replaced."""
    if target.exists() and not overwrite:
        raise ArtifactError(f"{target} exists already. Use `overwrite` to replace it.")
    if target.exists() and not target.is_dir():
        raise ArtifactError(f"{target} is not a folder. Choose another `output`.")


@dataclass(frozen=True)
class _Staging:
    """A folder of this process's own, on the target's file system."""

    folder: Path
    target: Path
    advice: str

    def writing(self) -> AbstractContextManager[None]:
        """Within, all that goes wrong is that the target cannot be written."""
        return _writing(self.target, self.advice)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Within, somebody else's work goes on, in the folder and elsewhere."""
        try:
            yield
        except OSError as err:
            place = os.fsdecode(err.filename) if isinstance(err.filename, str | bytes) else ""
            if err.errno in _FULL or place.startswith(str(self.folder)):
                with self.writing():
                    raise
            raise


@contextmanager
def _writing(target: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise ArtifactError(f"Cannot write {target}: {err.strerror or err}. {advice}") from err


@contextmanager
def _staging(target: Path, advice: str) -> Iterator[_Staging]:
    lock: int | None = None
    folder: Path | None = None
    try:
        with _writing(target, advice):
            target.parent.mkdir(parents=True, exist_ok=True)
            with deferred(), _locked(target.parent):
                _remove_stale(target)
                folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
                lock = os.open(folder, os.O_RDONLY)
                _lock(lock)
        yield _Staging(folder, target, advice)
    finally:
        with deferred():
            if folder is not None:
                _discard(folder, target)
            if lock is not None:
                os.close(lock)


def _moved(content: Path, target: Path) -> bool:
    """Rename unless there is something; an empty folder is nothing."""
    try:
        content.rename(target)
    except OSError as err:
        if err.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def _set_aside(target: Path, folder: Path) -> None:
    aside = folder / _OLD
    shutil.rmtree(aside, ignore_errors=True)
    # Another process may just have done the same.
    with contextlib.suppress(FileNotFoundError):
        target.rename(aside)


def _discard(folder: Path, target: Path) -> None:
    """Remove a staging folder; what it had set aside and not replaced is put back."""
    with contextlib.suppress(OSError):
        if (folder / _OLD).exists():
            _moved(folder / _OLD, target)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    prefix = _prefix(target)
    entries: list[Path] = []
    with contextlib.suppress(OSError):
        entries = list(target.parent.iterdir())
    for entry in entries:
        if not (entry.name.startswith(prefix) and len(entry.name) == len(prefix) + _RANDOM):
            continue
        with contextlib.suppress(OSError):
            number = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                if _lock(number):
                    _discard(entry, target)
            finally:
                os.close(number)


def _prefix(target: Path) -> str:
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return f".{name}."


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold off the removal of a staging folder that is not locked yet."""
    number: int | None = None
    # A folder that may be written but not read, or on a file system without locks, does without.
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        fcntl.flock(number, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if number is not None:
            os.close(number)


def _lock(number: int) -> bool:
    """Whether it could be locked; some network file systems lock no folders, and keep leftovers."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
