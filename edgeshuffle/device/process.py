"""A program that answers JSON lines, run by a child process of this machine."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from typing import IO, TYPE_CHECKING, Any, Final

from edgeshuffle.device.command import cannot_start
from edgeshuffle.errors import DeviceError
from edgeshuffle.untrusted import UntrustedError, decode, last_line, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeshuffle.device.cycles import Cycles

# The outputs of any detector for an image are shorter.
MAX_LINE: Final = 64 * 2**20
_CHUNK: Final = 1 << 16


class JsonProcess:
    """A child process with JSON lines on its pipes; its stderr is kept to be quoted.

    `where` names the place that it runs at in messages, such as "on this machine". What it writes
    before a line that is `greeting` is dropped: a login shell may have much to say.
    """

    def __init__(
        self,
        argv: Sequence[str],
        where: str,
        environment: Mapping[str, str] | None = None,
        greeting: str | None = None,
    ) -> None:
        self.where = where
        self._greeting = greeting.encode() if greeting is not None else None
        try:
            # In a session of its own, Ctrl-C reaches the parent alone, which then ends the child.
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                env=None if environment is None else {**os.environ, **environment},
            )
        except OSError as err:
            raise cannot_start(argv[0], err) from err
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._in, self._out, self._err = self._child.stdin, self._child.stdout, self._child.stderr
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._err.fileno(), False)
        self._received = bytearray()
        self._errors = bytearray()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def ask(self, command: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Send a line and wait at most `timeout` seconds for its reply; raises DeviceError."""
        deadline = time.monotonic() + timeout
        if self._received:
            raise DeviceError(
                f"Process {self.pid} {self.where} wrote {quoted(bytes(self._received[:200]))!r} "
                "without being asked. Look for something that prints there, and run it again."
            )
        self._send(json.dumps(command).encode() + b"\n", deadline, timeout)
        return self._reply(deadline, timeout)

    def count(self, n: int, timeout: float) -> tuple[dict[str, int], ...]:  # noqa: ARG002
        """Only emulated devices count; raises DeviceError."""
        raise DeviceError("Instructions can be counted on emulated devices only.")

    def cycles(self) -> Cycles:
        """Only emulated devices have counts to estimate them from; raises DeviceError."""
        raise DeviceError("Cycles can be estimated on emulated devices only.")

    def reply(self, timeout: float) -> dict[str, Any]:
        """Wait at most `timeout` seconds for the next line; raises DeviceError."""
        return self._reply(time.monotonic() + timeout, timeout)

    @property
    def is_silent(self) -> bool:
        """Whether there is no reply to read, and no end of it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            return not self._received and not selector.select(0)

    def beat(self) -> None:
        """Send an empty line, which tells an agent that this end is alive; never waits."""
        try:
            os.write(self._in.fileno(), b"\n")
        except (OSError, ValueError):
            # Whoever waits for the next reply is told.
            return

    def end(self, timeout: float) -> dict[str, Any] | None:
        """End its input and wait for its last words; None where there are none in time."""
        self._in.close()
        try:
            return self.reply(timeout)
        except DeviceError:
            return None

    def close(self) -> None:
        """Kill the child, which holds nothing worth saving, and wait for it."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._in, self._out, self._err):
            pipe.close()

    def _send(self, line: bytes, deadline: float, timeout: float) -> None:
        left = memoryview(line)
        while left:
            if not self._wait(self._in, selectors.EVENT_WRITE, deadline):
                raise DeviceError(
                    f"Process {self.pid} {self.where} read nothing for {timeout:.0f} s"
                    f"{self._quote()}. Check the load there and run it again."
                )
            try:
                left = left[os.write(self._in.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._ended() from None

    def _reply(self, deadline: float, timeout: float) -> dict[str, Any]:
        line = self._line(deadline, timeout)
        while self._greeting is not None:
            if line.rstrip(b"\r") == self._greeting:
                self._greeting = None
            line = self._line(deadline, timeout)
        try:
            return decode(line, dict[str, Any])
        except UntrustedError as err:
            raise DeviceError(
                f"Process {self.pid} {self.where} replied {quoted(line, 80)!r}, which is no JSON "
                f"object ({err}). Look for something that prints when Python starts, and run it "
                "again."
            ) from err

    def _line(self, deadline: float, timeout: float) -> bytes:
        """The next line; raises DeviceError at the deadline, whatever has come until then."""
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > MAX_LINE:
                raise DeviceError(
                    f"Process {self.pid} {self.where} replied more than {MAX_LINE} bytes in one "
                    "line. Check what answers there, and run it again."
                )
            if not self._wait(self._out, selectors.EVENT_READ, deadline):
                raise DeviceError(
                    f"Process {self.pid} {self.where} gave no reply within {timeout:.0f} s"
                    f"{self._quote()}. Check the load there and run it again."
                )
            read = os.read(self._out.fileno(), _CHUNK)
            if not read:
                raise self._ended()
            self._received += read
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _wait(self, pipe: IO[bytes], event: int, deadline: float) -> bool:
        """Whether the pipe is ready before the deadline; what comes on stderr is taken away."""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            selector.register(self._err, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = [key.fileobj for key, _ in selector.select(left)]
                if self._err in ready and not self._drain():
                    selector.unregister(self._err)
                if pipe in ready:
                    return True
        return False

    def _drain(self) -> bool:
        """Keep the end of what is on stderr now; whether more may come."""
        try:
            # As much as a pipe holds.
            read = os.read(self._err.fileno(), _CHUNK)
        except BlockingIOError:
            return True
        self._errors = (self._errors + read)[-_CHUNK:]
        return bool(read)

    def _ended(self) -> DeviceError:
        # Its pipes are closed, so it is gone or about to be; a process that lingers is killed.
        self._drain()
        try:
            status = self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return DeviceError(
            f"Process {self.pid} {self.where} ended early ({how}){self._quote()}. "
            "Check the memory and the runtime's installation, and run it again."
        )

    def _quote(self) -> str:
        """The last line that the child wrote to stderr."""
        self._drain()
        last = last_line(bytes(self._errors))
        return f": {last}" if last else ""
