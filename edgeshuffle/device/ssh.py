"""A device over ssh, by the system's OpenSSH: its configuration, keys, agent and jump hosts hold.

Host keys are checked as the user configured it and never accepted silently. One connection is
opened and shared by all commands (ControlMaster).
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.device.command import Done, finish
from edgeshuffle.device.remote import COMMAND_SECONDS, RemoteDevice
from edgeshuffle.device.transport import frame, unframe
from edgeshuffle.errors import DeviceError, UnknownNameError
from edgeshuffle.untrusted import clean, last_line, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.progress import Progress

CONNECT_SECONDS: Final = 10
TRIES: Final = 3
COPY_SECONDS: Final = 600.0
# ssh's own exit status for a failure of the connection, which no remote program should use.
_SSH_FAILED: Final = 255
_LAST_PORT: Final = 65535
# A socket's path has at most 107 bytes, and ssh appends 17 while it makes it.
_LONGEST: Final = 90
# Reads a file from its input. PART
_RECEIVE: Final = 'cat >"$1" || { rm -f "$1"; exit 1; }'
_PERMANENT: Final = {
    "Host key verification failed": "Its host key is unknown or has changed: connect once by hand "
    "with ssh, and compare the key.",
    "Permission denied": "Set up a key for it: ssh-copy-id.",
    "Could not resolve hostname": "Check the name, or give its address.",
    "Too many authentication failures": "Choose the key in ~/.ssh/config.",
}


@dataclass(frozen=True)
class Address:
    """Where sshd listens; None is what ssh's configuration says."""

    user: str | None
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `[user@]host[:port]`; raises UnknownNameError."""
        found = re.fullmatch(
            r"(?:(?P<user>[\w.][\w.-]*)@)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.][\w.-]*)(?::(?P<port>[0-9]{1,9}))?",
            text,
        )
        port = found and found["port"]
        if found is None or (port and not 0 < int(port) <= _LAST_PORT):
            raise UnknownNameError(
                f"'{text}' is no ssh address. Give ssh://[user@]host[:port] with a port of 1 to "
                f"{_LAST_PORT}, or a host of ~/.ssh/config."
            )
        return cls(found["user"], found["host"].strip("[]"), int(port) if port else None)


class SshTransport:
    """Commands and files over one shared connection."""

    def __init__(self, address: Address) -> None:
        if shutil.which("ssh") is None:
            raise DeviceError("ssh is not installed: install OpenSSH's client.")
        where = f"{address.user}@{address.host}" if address.user else address.host
        port = f":{address.port}" if address.port else ""
        self.name = f"ssh://{where}{port}"
        self._where = where
        self._folder = _socket_folder()
        self._options = [
            *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"),
            *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
            *(("-o", f"Port={address.port}") if address.port else ()),
        ]
        if self._folder is not None:
            self._options += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60"]
            self._options += ["-o", f"ControlPath={self._folder / 'link'}"]
        try:
            self.base = f"{self._home()}/.cache/edgeshuffle"
        except BaseException:
            self.close()
            raise

    def _home(self) -> str:
        done = self.run(["sh", "-c", "cd && pwd"], COMMAND_SECONDS)
        home = done.out.removesuffix("\n")
        if done.status or not home.startswith("/") or home != clean(home):
            raise DeviceError(
                f"{self.name} has no home folder for this user ({quoted(home + done.err)}). Make "
                "one there."
            )
        return home

    def command(self, line: str) -> list[str]:
        """The ssh command that runs a shell's line there."""
        return ["ssh", *self._options, "-T", "--", self._where, line]

    def run(self, argv: Sequence[str], timeout: float) -> Done:
        """Run a program there; raises DeviceError where the connection fails or hangs."""
        return self._try(argv, timeout)

    def send(self, file: Path, target: str) -> None:
        """Copy a file into the input of a program there; raises DeviceError."""
        done = self._try(["sh", "-c", _RECEIVE, "sh", target], COPY_SECONDS, file)
        if done.status:
            raise DeviceError(
                f"{quoted(file.name)} cannot be copied to {self.name} ({last_line(done.err)}). "
                "Check the disk space there."
            )

    def close(self) -> None:
        """End the shared connection."""
        if self._folder is None:
            return
        if (self._folder / "link").exists():
            command = ["ssh", *self._options, "-O", "exit", "--", self._where]
            # A master that does not listen ends by itself, a minute later.
            with suppress(DeviceError):
                finish(command, CONNECT_SECONDS, self.name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _try(self, argv: Sequence[str], timeout: float, stdin: Path | None = None) -> Done:
        for attempt in itertools.count(1):
            line, word = frame(argv)
            done = finish(self.command(line), timeout, self.name, stdin)
            answer = unframe(word, done)
            if answer is not None:
                return answer
            if done.status != _SSH_FAILED:
                raise DeviceError(
                    f"{self.name} does not run programs (exit status {done.status}: "
                    f"{last_line(done.err) or last_line(done.out) or 'nothing said'}). Check its "
                    "user's login shell."
                )
            for symptom, advice in _PERMANENT.items():
                if symptom in done.err:
                    raise DeviceError(f"{self.name} refuses ({symptom}). {advice}")
            if attempt == TRIES:
                raise DeviceError(
                    f"{self.name} cannot be reached ({last_line(done.err) or 'no reason given'}). "
                    "Check that it is on and in the network."
                )
            time.sleep(attempt)
        raise AssertionError("the loop ends by returning or raising")


def _socket_folder() -> Path | None:
    """A private folder whose path ssh takes for the socket as it is; None where there is none.

    Then each command makes a connection of its own.
    """
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        # ssh splits its options at spaces and replaces % and ${...}.
        if parent is None or not re.fullmatch(r"/[\w./+-]*", parent, re.ASCII):
            continue
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="edgeshuffle-", dir=parent))
            if len(os.fsencode(folder / "link")) <= _LONGEST:
                return folder
            folder.rmdir()
    return None


def check(address: str) -> None:
    """Raise UnknownNameError unless it is `[user@]host[:port]`."""
    Address.parse(address)


def connect(address: str, progress: Progress) -> RemoteDevice:
    """The board at `[user@]host[:port]`; raises DeviceError."""
    return RemoteDevice(SshTransport(Address.parse(address)), progress)
