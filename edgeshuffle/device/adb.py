"""An Android phone over adb, by the system's adb client: no root, nothing installed.

Everything lies below /data/local/tmp, where the shell's user may write and run programs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.device.bundle import bundle
from edgeshuffle.device.remote import COMMAND_SECONDS, Completed, RemoteDevice, shell_line
from edgeshuffle.errors import DeviceError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgeshuffle.device import Progress

    _Done = subprocess.CompletedProcess[str]

BASE: Final = "/data/local/tmp/edgeshuffle"
COPY_SECONDS: Final = 600.0
# How long a phone whose link broke may take to be back.
RETURN_SECONDS: Final = 30.0
UNPACK_SECONDS: Final = 300.0
# Old shells lose exit codes, so each is sent as the last line.
_STATUS: Final = re.compile(r"\n?edgeshuffle-status:(\d+)\s*\Z")
_UNPACK: Final = """
rm -rf "$2.part" && mkdir -p "$2.part" && tar -xzf "$1" -C "$2.part" && mv "$2.part" "$2" ||
    { rm -rf "$2.part"; exit 1; }
"""
_STATES: Final = {
    "unauthorized": "Unlock it and allow USB debugging for this computer.",
    "offline": "Plug it in again, or restart the server: adb kill-server.",
    "authorizing": "Allow USB debugging for this computer on it.",
    "no permissions": "Allow this user to use the USB device (udev rules).",
}
# Tells the next run of a clock that this one could not let go.
_HELD: Final = f"{BASE}/clock-is-held"
_HOLD: Final = """
touch "$1" && cmd power set-fixed-performance-mode-enabled true >/dev/null 2>&1 || rm -f "$1"
"""
_LET_GO: Final = """
[ -f "$1" ] || exit 0
cmd power set-fixed-performance-mode-enabled false >/dev/null 2>&1
rm -f "$1"
"""


class AdbTransport:
    """Commands and files through the adb client."""

    base = BASE

    def __init__(self, serial: str) -> None:
        self.name = f"adb://{serial}"
        self._adb = ["adb", "-s", serial]

    def command(self, line: str) -> list[str]:
        """The adb command that runs a shell's line there, without a terminal in between."""
        return [*self._adb, "shell", "-T", line]

    def run(self, line: str, timeout: float) -> Completed:
        """Run a line there; raises DeviceError where the link fails or hangs."""
        framed = f"({line}\n); status=$?; echo; echo edgeshuffle-status:$status"
        done = self._try(self.command(framed), timeout, lambda done: _STATUS.search(done.stdout))
        found = _STATUS.search(done.stdout)
        if found is None:
            raise DeviceError(f"{self.name} is lost ({_last(done)}). Check the cable.")
        return Completed(int(found[1]), done.stdout[: found.start()], done.stderr)

    def send(self, file: Path, target: str) -> None:
        """Copy a file; raises DeviceError."""
        push = [*self._adb, "push", str(file.absolute()), target]
        done = self._try(push, COPY_SECONDS, lambda done: not done.returncode)
        if done.returncode:
            self.run(shell_line(["rm", "-f", target]), COMMAND_SECONDS)
            raise DeviceError(
                f"{file.name} cannot be copied to {self.name} ({_last(done)}). Check its disk "
                "space and the cable."
            )

    def _try(self, argv: list[str], timeout: float, succeeded: Callable[[_Done], object]) -> _Done:
        """Try a second time, once the phone is back, what a broken link may have ended."""
        done = _adb(argv, timeout, self.name)
        if succeeded(done):
            return done
        with suppress(DeviceError):
            _adb([*self._adb, "wait-for-device"], RETURN_SECONDS, self.name)
        return _adb(argv, timeout, self.name)

    def close(self) -> None:
        """Nothing is held: adb's server goes on."""


class Phone(RemoteDevice):
    """A phone, with a Python of its own pushed as one archive."""

    def __init__(self, transport: AdbTransport, progress: Progress) -> None:
        self._bundle: str | None = None
        super().__init__(transport, progress)

    @property
    def python(self) -> str:
        """The bundle's Python."""
        return f"{self.set_up()}/python3"

    def set_up(self) -> str:
        """The folder of the unpacked bundle, which is pushed if need be; raises DeviceError."""
        if self._bundle is None:
            machine = self._check(["uname", "-m"]).strip()
            if machine != "aarch64":
                raise DeviceError(
                    f"{self._transport.name} is a {machine}; only 64-bit ARM phones are supported."
                )
            archive = bundle(self._progress)
            folder = f"{BASE}/{archive.name.removesuffix('.tar.gz')}"
            found = shell_line(["test", "-d", folder])
            if self._transport.run(found, COMMAND_SECONDS).status:
                pushed = self.push(archive)
                self._progress("unpack runtimes", 0, 1)
                self._script(_UNPACK, pushed, folder, timeout=UNPACK_SECONDS)
            self._bundle = folder
        return self._bundle

    def describe(self) -> dict[str, Any]:
        """All that the agent and Android tell of the phone."""
        described = super().describe()
        maker, model, release = (
            self._check(["getprop", f"ro.{name}"]).strip()
            for name in ("product.manufacturer", "product.model", "build.version.release")
        )
        return {**described, "cpu": f"{maker} {model}, Android {release}"}

    def steady(self) -> None:
        """Ask Android 11 and later for a clock that it can hold; leaving undoes it."""
        super().steady()
        self._script(_HOLD, _HELD)

    def _restore(self) -> None:
        super()._restore()
        self._script(_LET_GO, _HELD)


def connect(address: str, progress: Progress) -> Phone:
    """The phone of a serial number, or the only one there is; raises DeviceError."""
    if not re.fullmatch(r"[\w.:-]*", address) or address.startswith("-"):
        raise UnknownNameError(f"'{address}' is no serial number. `adb devices` lists them.")
    if shutil.which("adb") is None:
        raise DeviceError("adb is not installed: install the package adb (platform tools).")
    return Phone(AdbTransport(_serial(address)), progress)


def _serial(wanted: str) -> str:
    listed = _adb(["adb", "devices"], COMMAND_SECONDS, "adb").stdout.splitlines()[1:]
    states = {}
    for line in listed:
        serial, _, state = line.partition("\t")
        if state:
            states[serial] = state.strip()
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


def _adb(argv: list[str], timeout: float, name: str) -> _Done:
    try:
        return subprocess.run(
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
            f"{name} did not answer within {timeout:.0f} s. Check the cable."
        ) from err


def _last(done: _Done) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line]
    return (errors or lines or ["no reason given"])[-1][:200]
