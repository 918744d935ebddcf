"""Lines for a device's shell, and the frame by which an answer is told from anything else.

A login shell may print a greeting before it runs what it was sent, and old Android shells lose
exit codes: a random word stands around what a program really said.
"""

from __future__ import annotations

import re
import secrets
import shlex
from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.device.command import Done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# $0 is the word.
_FRAME: Final = 'echo "$0"; "$@"; status=$?; echo; echo "$0 $status"; exit "$status"'


class Transport(Protocol):
    """A way to a device. Its methods raise DeviceError where the link fails."""

    name: str
    base: str

    def command(self, line: str) -> list[str]:
        """The local argv that runs a line of the device's shell."""
        ...

    def run(self, argv: Sequence[str], timeout: float) -> Done:
        """Run a program there; short failures of the link are retried."""
        ...

    def send(self, file: Path, target: str) -> None:
        """Copy a file."""
        ...

    def close(self) -> None: ...


def shell_line(argv: Sequence[str]) -> str:
    """The line that a POSIX shell splits into `argv`: the only place where anything is quoted."""
    return shlex.join(argv)


def frame(argv: Sequence[str]) -> tuple[str, str]:
    """The line that runs `argv`, and the word that stands around what it says."""
    word = f"edgeshuffle-{secrets.token_hex(8)}"
    return shell_line(["sh", "-c", _FRAME, word, *argv]), word


def unframe(word: str, done: Done) -> Done | None:
    """What the program said, and its own exit status; None where it did not come to its end."""
    found = re.search(rf"^{word}\r?\n(.*)\n{word} (\d+)\r?$", done.out, re.DOTALL | re.MULTILINE)
    return None if found is None else Done(int(found[2]), found[1], done.err)
