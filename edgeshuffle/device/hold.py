"""This end of `agent/hold.py`: a device held alone, and its settings set back."""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.agent import hold as program
from edgeshuffle.device import replies
from edgeshuffle.errors import DeviceError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.device.process import JsonProcess
    from edgeshuffle.progress import Progress

PROGRAM: Final = Path(program.__file__)
MEMORY: Final = program.MEMORY
REPLY_SECONDS: Final = 60.0
# Several are lost before the other end gives up.
_BEAT_SECONDS: Final = program.SILENCE_SECONDS / 6

_log: Final = logging.getLogger(__name__)


class Hold:
    """A device that nobody else measures on until `release`."""

    def __init__(self, process: JsonProcess, name: str) -> None:
        self._process = process
        self._name = name
        self._stop = threading.Event()
        # A thread of its own sends a byte now and then, also while the main one waits for samples.
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def release(self) -> None:
        """Have everything set back; raises DeviceError if the hold was lost before."""
        lost = not self._process.is_silent
        self._stop.set()
        self._beats.join()
        reply = self._process.end(REPLY_SECONDS)
        self._process.close()
        if reply is not None and not lost:
            restored = replies.read(reply, replies.Restored, self._process.where)
            warn_of_left(restored.left, self._name)
            return
        raise DeviceError(
            f"{self._name} was let go while it was used: its link broke or this computer slept. "
            "Measure again what was measured since."
        )

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            self._process.beat()


def arguments(state: str, wait: float, *, governor: bool = True, phone: bool = False) -> list[str]:
    """What the program is given to hold a device for this process."""
    given = ["--state", state, "--holder", holder(), "--wait", str(wait)]
    if governor:
        given += ["--governor", "performance"]
    if phone:
        given.append("--phone")
    return given


def holder() -> str:
    """Who this process is, for those who find a device held."""
    try:
        user = getpass.getuser()
    # A user without a name, in a container.
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    started = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    if started in ("edgeshuffle", "__main__.py"):
        started = " ".join(["edgeshuffle", *sys.argv[1:2]])
    return json.dumps(
        {
            "host": quoted(socket.gethostname(), 100),
            "user": quoted(user, 100),
            "pid": os.getpid(),
            "command": quoted(started, 100),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


def take(
    start: Callable[[], JsonProcess], name: str, wait: float, progress: Progress
) -> Hold | None:
    """Hold the device that the started program runs on; None where it cannot be locked at all.

    Raises DeviceError where another process holds it for longer than `wait` seconds.
    """
    process = start()
    try:
        while True:
            timeout = REPLY_SECONDS + max(wait, program.GRACE_SECONDS)
            told = replies.read(process.reply(timeout), replies.Hold, process.where)
            if told.waiting:
                progress(f"wait for {told.holder or replies.Holder()}", 0, 1)
                continue
            if told.problem is not None:
                _log.warning("%s: %s: its clock may vary.", name, told.problem)
            break
    except BaseException:
        process.close()
        raise
    if told.held:
        warn_of_left(told.left, name)
        return Hold(process, name)
    process.close()
    if told.problem is not None:
        return None
    raise DeviceError(
        f"{name} is in use: {told.holder or replies.Holder()}. Run it again after that, or wait "
        "with `wait=SECONDS`."
    )


def warn_of_left(left: tuple[str, ...], name: str) -> None:
    """Say what could not be set back."""
    if left:
        _log.warning(
            "%s: cannot set back %s. It is tried again at the next contact.", name, ", ".join(left)
        )
