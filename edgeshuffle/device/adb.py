"""An Android phone over adb, by the system's adb client: no root, nothing installed.

Everything lies below /data/local/tmp, where the shell's user may write and run programs.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edgeshuffle.device.command import Done, finish
from edgeshuffle.device.remote import COMMAND_SECONDS, UNPACK_SECONDS, RemoteDevice
from edgeshuffle.device.scripts import UNPACK_ARCHIVE
from edgeshuffle.device.transport import frame, unframe
from edgeshuffle.errors import DeviceError, UnknownNameError
from edgeshuffle.payload.bundle import bundle
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgeshuffle.device.replies import Described
    from edgeshuffle.progress import Progress

BASE: Final = "/data/local/tmp/edgeshuffle"
COPY_SECONDS: Final = 600.0
# How long a phone whose link broke may take to be back.
RETURN_SECONDS: Final = 30.0
_STATES: Final = {
    "unauthorized": "Unlock it and allow USB debugging for this computer.",
    "offline": "Plug it in again, or restart the server: adb kill-server.",
    "authorizing": "Allow USB debugging for this computer on it.",
    "no permissions": "Allow this user to use the USB device (udev rules).",
}


class AdbTransport:
    """Commands and files through the adb client."""

    base = BASE

    def __init__(self, serial: str) -> None:
        self.name = f"adb://{serial}"
        self._adb = ["adb", "-s", serial]

    def command(self, line: str) -> list[str]:
        """The adb command that runs a shell's line there, without a terminal in between."""
        return [*self._adb, "shell", "-T", line]

    def run(self, argv: Sequence[str], timeout: float) -> Done:
        """Run a program there; raises DeviceError where the link fails or hangs."""
        line, word = frame(argv)
        done = self._try(self.command(line), timeout, lambda done: unframe(word, done))
        answer = unframe(word, done)
        if answer is None:
            raise DeviceError(f"{self.name} is lost ({_last(done)}). Check the cable.")
        return answer

    def send(self, file: Path, target: str) -> None:
        """Copy a file; raises DeviceError."""
        push = [*self._adb, "push", str(file.absolute()), target]
        done = self._try(push, COPY_SECONDS, lambda done: not done.status)
        if done.status:
            self.run(["rm", "-f", target], COMMAND_SECONDS)
            raise DeviceError(
                f"{quoted(file.name)} cannot be copied to {self.name} ({_last(done)}). Check its "
                "disk space and the cable."
            )

    def _try(self, argv: list[str], timeout: float, succeeded: Callable[[Done], object]) -> Done:
        """Try a second time, once the phone is back, what a broken link may have ended."""
        done = finish(argv, timeout, self.name)
        if succeeded(done):
            return done
        with suppress(DeviceError):
            finish([*self._adb, "wait-for-device"], RETURN_SECONDS, self.name)
        return finish(argv, timeout, self.name)

    def close(self) -> None:
        """Nothing is held: adb's server goes on."""


class Phone(RemoteDevice):
    """A phone, with a Python of its own pushed as one archive."""

    # Android 11 and later have a clock that they can hold.
    is_phone = True

    def __init__(self, transport: AdbTransport, progress: Progress) -> None:
        self._bundle: str | None = None
        self._told: Described | None = None
        super().__init__(transport, progress)

    @property
    def python(self) -> str:
        """The bundle's Python."""
        return f"{self.set_up()}/python3"

    def choose(self) -> None:
        """The runtimes are part of the bundle."""

    def set_up(self, wait: float = 0.0) -> str:  # noqa: ARG002
        """The folder of the unpacked bundle, which is pushed if need be; raises DeviceError."""
        if self._bundle is None:
            machine = quoted(self._check(["uname", "-m"]))
            if machine != "aarch64":
                raise DeviceError(
                    f"{self._transport.name} is a {machine}; only 64-bit ARM phones are supported."
                )
            archive = bundle(self._progress)
            folder = f"{BASE}/{archive.name.removesuffix('.tar.gz')}"
            # Nothing can be locked before there is a Python; whoever is faster has made it.
            if not self._is_whole(folder):
                pushed = self.push(archive)
                self._progress("unpack runtimes", 0, 1)
                self._script(UNPACK_ARCHIVE, folder, pushed, timeout=UNPACK_SECONDS)
            self._bundle = folder
        return self._bundle

    def describe(self) -> Described:
        """All that the agent and Android tell of the phone."""
        if self._told is None:
            maker, model, release = (
                quoted(self._check(["getprop", f"ro.{name}"]), 60)
                for name in ("product.manufacturer", "product.model", "build.version.release")
            )
            cpu = f"{maker} {model}, Android {release}"
            self._told = replace(super().describe(), cpu=cpu)
        return self._told


def check(address: str) -> None:
    """Raise UnknownNameError unless it may be a serial number, or nothing for the only phone."""
    if not re.fullmatch(r"[\w.:-]*", address) or address.startswith("-"):
        raise UnknownNameError(
            f"'{quoted(address)}' is no serial number. `adb devices` lists them."
        )


def connect(address: str, progress: Progress) -> Phone:
    """The phone of a serial number, or the only one there is; raises DeviceError."""
    if shutil.which("adb") is None:
        raise DeviceError("adb is not installed: install the package adb (platform tools).")
    return Phone(AdbTransport(_serial(address)), progress)


def _serial(wanted: str) -> str:
    listed = finish(["adb", "devices"], COMMAND_SECONDS, "adb").out.splitlines()[1:]
    states = {}
    for line in listed:
        serial, _, state = line.partition("\t")
        if state:
            states[quoted(serial, 100)] = quoted(state, 100)
    if not states:
        raise DeviceError("There is no phone: plug it in with USB debugging switched on.")
    if not wanted and len(states) > 1:
        raise DeviceError(
            f"There are {len(states)} phones: say which, adb://{' or adb://'.join(states)}."
        )
    serial = wanted or next(iter(states))
    if serial not in states:
        raise DeviceError(f"There is no phone '{serial}'. There is: {', '.join(states)}.")
    for state, advice in _STATES.items():
        if states[serial].startswith(state):
            raise DeviceError(f"adb://{serial} is {state}. {advice}")
    return serial


def _last(done: Done) -> str:
    lines = [line.strip() for line in (done.err + done.out).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line]
    return quoted((errors or lines or ["no reason given"])[-1])
