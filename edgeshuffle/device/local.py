"""The machine that edgeshuffle itself runs on."""

from __future__ import annotations

import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Final

from edgeshuffle.agent.hold import restore_if_free
from edgeshuffle.agent.probe import describe
from edgeshuffle.device import hold, replies
from edgeshuffle.device.in_use import InUse
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.errors import DeviceError, UnknownNameError
from edgeshuffle.host.folders import absolute_path, cache_folder
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.progress import Progress

WHERE: Final = "on this machine"
NAME: Final = "This machine"


def state_folder() -> Path:
    """Where the lock and the memory of changed settings are.

    That is where somebody finds them, too, who comes to this machine over ssh.
    """
    root = absolute_path("XDG_STATE_HOME")
    return (cache_folder() if root is None else root / "edgeshuffle") / "state"


class LocalDevice(InUse):
    """This machine, and the Python that runs edgeshuffle."""

    python = sys.executable

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._processes: list[JsonProcess] = []
        self._folder: str | None = None
        self._hold: hold.Hold | None = None
        state = state_folder()
        # A run that lost its power could not.
        if (state / hold.MEMORY).exists():
            restored = replies.read(restore_if_free(state), replies.Restored, WHERE)
            hold.warn_of_left(restored.left, NAME)

    def describe(self) -> replies.Described:
        """All that the agent tells of this machine."""
        return replies.read(describe(), replies.Described, WHERE)

    def choose(self) -> None:
        """The runtimes are installed with edgeshuffle."""

    def set_up(self, wait: float = 0.0) -> str:  # noqa: ARG002
        """The runtimes are installed with edgeshuffle, or are not."""
        return sys.prefix

    def steady(self, wait: float = 0.0) -> None:
        """Hold this machine and set the clock governor to `performance` where this user may."""
        argv = [sys.executable, str(hold.PROGRAM), *hold.arguments(str(state_folder()), wait)]
        self._hold = hold.take(lambda: JsonProcess(argv, WHERE), NAME, wait, self._progress)

    def push(self, file: Path) -> str:
        """A file is here already."""
        return str(file.absolute())

    def push_program(self, *files: Path) -> str:
        """A program is here already, with all that lies beside it."""
        return self.push(files[-1])

    def spawn(self, argv: Sequence[str]) -> JsonProcess:
        """Start a process that ends with the `with` block; raises DeviceError.

        What it is writing when it is killed lies in a folder that is removed then.
        """
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="edgeshuffle-")
        process = JsonProcess(argv, WHERE, {"TMPDIR": self._folder})
        self._processes.append(process)
        return process

    def _let_go(self) -> DeviceError | None:
        while self._processes:
            self._processes.pop().close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        try:
            if self._hold is not None:
                self._hold.release()
        except DeviceError as err:
            return err
        return None


def check(address: str) -> None:
    """Raise UnknownNameError for any address: there is but one such machine."""
    if address:
        raise UnknownNameError(f"'local' takes no address, so leave out '://{quoted(address)}'.")


def connect(address: str, progress: Progress) -> LocalDevice:  # noqa: ARG001
    """This machine, which has no address."""
    return LocalDevice(progress)
