"""A program run to its end on this machine, with bounds on time and on what it says."""

from __future__ import annotations

import selectors
import subprocess
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from edgeshuffle.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES: Final = 2**20
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Done:
    """A program's end; `out` and `err` as UTF-8, with replacement characters for other bytes."""

    status: int
    out: str
    err: str


def finish(argv: Sequence[str], timeout: float, name: str, stdin: Path | None = None) -> Done:
    """Run a program that reads `stdin`; raises DeviceError, naming `name`, beyond the bounds, and
    where it cannot be started.
    """
    with (
        open(stdin or "/dev/null", "rb") as given,  # noqa: PTH123 - a device, too
        _started(argv, given) as child,
    ):
        try:
            return _collect(child, time.monotonic() + timeout, timeout, name)
        except BaseException:
            child.kill()
            raise


def _started(argv: Sequence[str], given: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as err:
        raise cannot_start(argv[0], err) from err


def cannot_start(program: str, err: OSError) -> DeviceError:
    """The error for a program that is not there, or has no room to run."""
    return DeviceError(
        f"{program} cannot be started here ({err.strerror}). Check that it is installed, and that "
        "this machine is not full."
    )


def _collect(child: subprocess.Popen[bytes], deadline: float, timeout: float, name: str) -> Done:
    assert child.stdout is not None
    assert child.stderr is not None
    said: dict[IO[bytes], bytearray] = {child.stdout: bytearray(), child.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                raise _late(name, timeout)
            for key, _ in ready:
                pipe = next(one for one in said if one is key.fileobj)
                read = pipe.read(_CHUNK)
                if not read:
                    selector.unregister(pipe)
                said[pipe] += read
                if len(said[pipe]) > MAX_BYTES:
                    raise DeviceError(
                        f"{name} said more than {MAX_BYTES} bytes. Check what answers there."
                    )
    try:
        status = child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _late(name, timeout) from None
    out, err = (text.decode("utf-8", "replace") for text in said.values())
    return Done(status, out, err)


def _late(name: str, timeout: float) -> DeviceError:
    return DeviceError(
        f"{name} did not answer within {timeout:.0f} s. Check the link or cable and its load."
    )
