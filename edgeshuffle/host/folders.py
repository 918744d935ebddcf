"""Where this user's downloads, settings and temporary files lie.

A relative path in a variable counts as none, as the XDG base directory specification says: it would
mean another folder in every folder that a command is run in.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/edgeshuffle` or `~/.cache/edgeshuffle`.

    Where that cannot be written, a private folder for temporary files.
    """
    return _kept("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """Where settings lie: `$XDG_CONFIG_HOME/edgeshuffle` or `~/.config/edgeshuffle`, likewise."""
    return _kept("XDG_CONFIG_HOME", ".config")


def absolute_path(variable: str) -> Path | None:
    """The path in an environment variable; None where there is none that is absolute."""
    path = Path(os.environ.get(variable) or ".")
    return path if path.is_absolute() else None


def _kept(variable: str, below_home: str) -> Path:
    try:
        folder = (absolute_path(variable) or Path.home() / below_home) / "edgeshuffle"
        if folder.is_absolute() and _is_usable(folder):
            return folder
    except RuntimeError:
        # A user without an entry in passwd and without $HOME.
        pass
    return private_folder() / below_home.removeprefix(".")


def _is_usable(folder: Path) -> bool:
    """Whether it can be written, or be made; makes nothing."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)


@cache
def private_folder() -> Path:
    """A folder for temporary files that nobody else can write.

    It is the user's and is used again; where somebody else made one of that name, it is this
    process's and goes with it.
    """
    folder = Path(tempfile.gettempdir()) / f"edgeshuffle-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if private and found.st_uid == os.getuid():
            return folder
    except FileExistsError:
        pass
    folder = Path(tempfile.mkdtemp(prefix="edgeshuffle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
