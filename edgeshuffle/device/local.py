"""The machine that edgeshuffle itself runs on."""

from __future__ import annotations

import json
import os
import platform
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edgeshuffle.device import DeviceInfo
from edgeshuffle.errors import DeviceError
from edgeshuffle.runtime.agent import clock_khz, temperature_mc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class LocalProcess:
    """A child process with JSON lines on its pipes; its stderr is kept to be quoted."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        try:
            # In a session of its own, Ctrl-C reaches the parent alone, which then ends the child.
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as err:
            self._errors.close()
            raise DeviceError(
                f"{argv[0]} cannot be started here ({err.strerror}). Check that it is installed."
            ) from err
        self._received = b""

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def ask(self, command: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Send a line and wait at most `timeout` seconds for its reply; raises DeviceError."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            raise self._ended() from None
        return self.reply(timeout)

    def reply(self, timeout: float) -> dict[str, Any]:
        """Wait at most `timeout` seconds for the next line; raises DeviceError."""
        line = self._line(time.monotonic() + timeout)
        if line is None:
            raise DeviceError(
                f"Process {self.pid} on this machine gave no reply within {timeout:.0f} s"
                f"{self._quote()}. Check the machine's load and run it again."
            )
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise DeviceError(
                f"Process {self.pid} on this machine replied {line[:80]!r}, which is no JSON "
                "object. Look for something that prints when Python starts, and run it again."
            )
        return reply

    def close(self) -> None:
        """Kill the child, which holds nothing worth saving, and wait for it."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._errors):
            if pipe is not None:
                pipe.close()

    def _line(self, deadline: float) -> bytes | None:
        """The next line, or None at the deadline."""
        assert self._child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                read = os.read(self._child.stdout.fileno(), 1 << 16)
                if not read:
                    raise self._ended()
                self._received += read
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _ended(self) -> DeviceError:
        # Its pipes are closed, so it is gone or about to be; a process that lingers is killed.
        try:
            status = self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return DeviceError(
            f"Process {self.pid} on this machine ended early ({how}){self._quote()}. "
            "Check the memory and the runtime's installation, and run it again."
        )

    def _quote(self) -> str:
        """The last line that the child wrote to stderr."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), None)
        return f": {last}" if last else ""


class LocalDevice:
    """This machine, and the Python that runs edgeshuffle."""

    python = sys.executable

    def __init__(self) -> None:
        self._processes: list[LocalProcess] = []

    def info(self) -> DeviceInfo:
        """What this machine shows of itself."""
        machine = platform.machine()
        return DeviceInfo(
            machine=machine,
            cpu=_cpu() or machine,
            cores=len(os.sched_getaffinity(0)),
            is_arm=machine.lower().startswith(("arm", "aarch64")),
            governor=_read(GOVERNOR) or None,
            clock_khz=clock_khz(),
            temperature_mc=temperature_mc(),
            load=os.getloadavg()[0],
            python=platform.python_version(),
        )

    def push(self, file: Path) -> str:
        """A file is here already."""
        return str(file.absolute())

    def spawn(self, argv: Sequence[str]) -> LocalProcess:
        """Start a process that ends with the `with` block; raises DeviceError."""
        process = LocalProcess(argv)
        self._processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._processes:
            self._processes.pop().close()


def connect() -> LocalDevice:
    """This machine."""
    return LocalDevice()


def _cpu() -> str | None:
    """The board's name on ARM, the processor's elsewhere."""
    board = _read(Path("/proc/device-tree/model")).rstrip("\0")
    if board:
        return board
    entries = [line.partition(":") for line in _read(Path("/proc/cpuinfo")).splitlines()]
    found = {key.strip().lower(): value.strip() for key, _, value in entries}
    return found.get("model name") or found.get("hardware")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
