"""A device over ssh, by the system's OpenSSH: its configuration, keys, agent and jump hosts hold.

Host keys are checked as the user configured it and never accepted silently. One connection is
opened and shared by all commands (ControlMaster).
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.device.remote import COMMAND_SECONDS, Completed, RemoteDevice, shell_line
from edgeshuffle.errors import DeviceError, UnknownNameError

if TYPE_CHECKING:
    from edgeshuffle.device import Progress

CONNECT_SECONDS: Final = 10
TRIES: Final = 3
COPY_SECONDS: Final = 600.0
# ssh's own exit status for a failure of the connection, which no remote program should use.
_SSH_FAILED: Final = 255
# What scp says, which has an exit status of its own, when its connection ends.
_LOST: Final = ("Connection closed", "lost connection", "Broken pipe", "Connection reset")
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
            r"(?:(?P<user>[\w.][\w.-]*)@)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.][\w.-]*)(?::(?P<port>\d+))?",
            text,
        )
        if found is None:
            raise UnknownNameError(
                f"'{text}' is no ssh address. Give ssh://[user@]host[:port], or a host of "
                "~/.ssh/config."
            )
        port = found["port"]
        return cls(found["user"], found["host"].strip("[]"), int(port) if port else None)


class SshTransport:
    """Commands and files over one shared connection."""

    def __init__(self, address: Address) -> None:
        for program in ("ssh", "scp"):
            if shutil.which(program) is None:
                raise DeviceError(f"{program} is not installed: install OpenSSH's client.")
        where = f"{address.user}@{address.host}" if address.user else address.host
        port = f":{address.port}" if address.port else ""
        self.name = f"ssh://{where}{port}"
        self._where = where
        self._folder = Path(tempfile.mkdtemp(prefix="edgeshuffle-"))
        self._options = [
            *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"),
            *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={self._folder / 'link'}"),
            *("-o", "ControlPersist=60"),
            *(("-o", f"Port={address.port}") if address.port else ()),
        ]
        try:
            home = self.run("cd && pwd", COMMAND_SECONDS).out.strip()
        except BaseException:
            self.close()
            raise
        self.base = f"{home}/.cache/edgeshuffle"

    def command(self, line: str) -> list[str]:
        """The ssh command that runs a shell's line there."""
        return ["ssh", *self._options, "-T", "--", self._where, line]

    def run(self, line: str, timeout: float) -> Completed:
        """Run a line there; raises DeviceError where the connection fails or hangs."""
        done = self._try(self.command(line), timeout)
        return Completed(done.returncode, done.stdout, done.stderr)

    def send(self, file: Path, target: str) -> None:
        """Copy a file by sftp; raises DeviceError."""
        # An absolute local path cannot be taken for `host:path`.
        argv = ["scp", "-q", *self._options, "--", str(file.absolute()), f"{self._where}:{target}"]
        done = self._try(argv, COPY_SECONDS)
        if done.returncode:
            self.run(shell_line(["rm", "-f", target]), COMMAND_SECONDS)
            raise DeviceError(
                f"{file.name} cannot be copied to {self.name} ({_last(done.stderr)}). Check the "
                "disk space there."
            )

    def close(self) -> None:
        """End the shared connection."""
        command = ["ssh", *self._options, "-O", "exit", "--", self._where]
        subprocess.run(command, capture_output=True, check=False, timeout=CONNECT_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _try(self, argv: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        for attempt in itertools.count(1):
            try:
                done = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired as err:
                raise DeviceError(
                    f"{self.name} did not answer within {timeout:.0f} s. Check the link and its "
                    "load."
                ) from err
            lost = any(symptom in done.stderr for symptom in _LOST)
            if not done.returncode or not (lost or done.returncode == _SSH_FAILED):
                return done
            for symptom, advice in _PERMANENT.items():
                if symptom in done.stderr:
                    raise DeviceError(f"{self.name} refuses ({symptom}). {advice}")
            if attempt == TRIES:
                raise DeviceError(
                    f"{self.name} cannot be reached ({_last(done.stderr)}). Check that it is on "
                    "and in the network."
                )
            time.sleep(attempt)
        raise AssertionError("the loop ends by returning or raising")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"


def connect(address: str, progress: Progress) -> RemoteDevice:
    """The board at `[user@]host[:port]`; raises UnknownNameError and DeviceError."""
    return RemoteDevice(SshTransport(Address.parse(address)), progress)
