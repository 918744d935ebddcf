"""A program that answers JSON lines, run by a child process of this machine."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

from edgeshuffle.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class JsonProcess:
    """A child process with JSON lines on its pipes; its stderr is kept to be quoted.

    `where` names the place that it runs at in messages, such as "on this machine".
    """

    def __init__(
        self, argv: Sequence[str], where: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._where = where
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
                env=None if environment is None else {**os.environ, **environment},
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

    def count(self, n: int, timeout: float) -> tuple[dict[str, int], ...]:  # noqa: ARG002
        """Only emulated devices count; raises DeviceError."""
        raise DeviceError("Instructions can be counted on emulated devices only.")

    def reply(self, timeout: float) -> dict[str, Any]:
        """Wait at most `timeout` seconds for the next line; raises DeviceError."""
        line = self._line(time.monotonic() + timeout)
        if line is None:
            raise DeviceError(
                f"Process {self.pid} {self._where} gave no reply within {timeout:.0f} s"
                f"{self._quote()}. Check the load there and run it again."
            )
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise DeviceError(
                f"Process {self.pid} {self._where} replied {line[:80]!r}, which is no JSON "
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
            f"Process {self.pid} {self._where} ended early ({how}){self._quote()}. "
            "Check the memory and the runtime's installation, and run it again."
        )

    def _quote(self) -> str:
        """The last line that the child wrote to stderr."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), None)
        return f": {last}" if last else ""
