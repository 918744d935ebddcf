"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator


def _why(err: OSError) -> str:
    return err.strerror or str(err)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`, renamed to it when the block ends well.

    Raises ArtifactError where the folder cannot be written or the disk is full.
    """
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        # In a folder of its own, the file gets the usual permissions, which mkstemp's lack.
        content = temporary / "new"
        content.touch()
        yield content
        content.replace(target)
    except OSError as err:
        raise ArtifactError(
            f"Cannot write {target}: {_why(err)}. Choose another place or make room."
        ) from err
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, renamed to it when the block ends well.

    With `overwrite` an existing folder is replaced, and stays as it was if the block fails.
    Raises ArtifactError where `target` exists without `overwrite`, the parent cannot be written
    or the disk is full.
    """
    refuse_existing(target, overwrite=overwrite)
    if target.is_symlink():
        target = target.resolve()
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        content = temporary / "new"
        content.mkdir()
        yield content
        if target.exists():
            target.rename(temporary / "old")
        content.rename(target)
    except OSError as err:
        raise ArtifactError(
            f"Cannot write {target}: {_why(err)}. Choose another folder with -o or make room."
        ) from err
    finally:
        if temporary is not None:
            if not target.exists() and (temporary / "old").exists():
                (temporary / "old").rename(target)
            shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raise ArtifactError if `target` exists and may not be replaced."""
    if target.exists() and not overwrite:
        raise ArtifactError(f"{target} exists already. Use --overwrite to replace it.")
    if target.exists() and not target.is_dir():
        raise ArtifactError(f"{target} is not a folder. Choose another folder with -o.")
