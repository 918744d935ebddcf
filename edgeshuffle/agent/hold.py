"""Holds a device for one measurement, and leaves it as it was found.

Stands alone, on the device itself: needs Python 3.9 or later.

    python hold.py --state DIR --holder JSON [--wait SECONDS] [--governor performance] [--phone]
    python hold.py --state DIR --restore

The first form locks DIR/lock, sets the clock governor where this user may, prints {"held": true}
and stays until its input ends or is silent for a while, or a signal ends it; then it sets back what
it changed and prints what could not be. So a link that breaks or a host that is killed changes
nothing for good. What was changed is remembered in DIR/settings.json before it is changed: a device
that lost its power is set back by the next holder, or by the second form, which leaves a device
alone that somebody holds.

The lock is flock's: it ends with its holder, whatever ends that. DIR/lock says who that is.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

CPUS = Path("/sys/devices/system/cpu")
# The other end sends an empty line every few seconds. Without any, it is gone, though the link may
# not have noticed; a host that slept has lost its hold.
SILENCE_SECONDS = 60.0
# How long a holder whose host is gone may take to notice and to set back.
GRACE_SECONDS = 3.0
POLL_SECONDS = 0.1
MEMORY = "settings.json"
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
PHONE = ("cmd", "power", "set-fixed-performance-mode-enabled")
Settings = dict[str, Any]


class Ended(Exception):  # noqa: N818 - no error
    """A signal asks this process to end."""


def main() -> int:
    """The exit status is 1 where the device cannot be held, and 0 else."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--restore", action="store_true")
    parser.add_argument("--holder", default="{}")
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--governor")
    parser.add_argument("--phone", action="store_true")
    options = parser.parse_args()
    if options.restore:
        reply(restore_if_free(options.state))
        return 0
    # They are let through only where this process waits: nothing is left half set or half restored.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, _end)
    try:
        lock = _wait_for(options.state, json.loads(options.holder), options.wait)
    except OSError as err:
        reply({"held": False, "problem": f"{err.filename}: {err.strerror}"})
        return 1
    return 1 if lock is None else _hold(options, lock)


def restore_if_free(state: Path) -> dict[str, Any]:
    """Set back what a holder that is gone left, unless there is another one."""
    if not (state / MEMORY).exists():
        return {"left": []}
    try:
        lock = _locked(state)
    except OSError as err:
        return {"left": [f"{err.filename}: {err.strerror}"]}
    if lock is None:
        return {"left": [], "busy": True}
    with lock:
        return {"left": restore(state)}


def governors() -> dict[str, str]:
    """Clock governors by file."""
    files = sorted(CPUS.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return {str(file): _text(file) for file in files if _text(file)}


def change(state: Path, governor: str | None, phone: bool) -> None:
    """Set the governor and a phone's clock where that is permitted, remembered before."""
    found = governors() if governor else {}
    old = {file: name for file, name in found.items() if name != governor}
    if not old and not phone:
        return
    _remember(state, {"governors": old, "phone": phone})
    if governor:
        done = {file: _write(file, governor) for file in old}
        old = {file: name for file, name in old.items() if done[file]}
    phone = phone and _call_phone("true")
    # What could not be changed needs no way back.
    if not old and not phone:
        (state / MEMORY).unlink()


def restore(state: Path) -> list[str]:
    """Set back what is remembered, and name what could not be; that stays remembered.

    To be called by who holds the lock.
    """
    memory = state / MEMORY
    try:
        kept = json.loads(memory.read_text("utf-8"))
        old, phone = dict(kept["governors"]), bool(kept["phone"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError):
        # Nothing that this module wrote: it appears whole or not at all.
        memory.unlink()
        return []
    now = governors()
    left = []
    for file, name in old.items():
        # Only what is a governor's file is written to, whatever the memory says.
        if file not in now or now[file] == name:
            continue
        if not _write(file, name) or _text(Path(file)) != name:
            left.append(f"{file} to {name}")
    if phone and not _call_phone("false"):
        left.append("fixed performance mode to false")
    if not left:
        memory.unlink()
    return left


def reply(data: dict[str, Any]) -> None:
    """Print a line, if anybody is there to read it."""
    try:
        print(json.dumps(data), flush=True)
    except OSError:
        # Its end is no reason not to set back.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _hold(options: argparse.Namespace, lock: IO[str]) -> int:
    left = restore(options.state)
    problem = None
    # What an earlier holder left is not to be forgotten for what this one would change.
    if not left:
        try:
            change(options.state, options.governor, options.phone)
        except OSError as err:
            problem = f"{err.filename}: {err.strerror}"
    reply({"held": True, "left": left, "problem": problem})
    while _goes_on(SILENCE_SECONDS, silent=False):
        continue
    left = restore(options.state)
    if lock.writable():
        lock.truncate(0)
    reply({"left": left})
    return 0


def _goes_on(seconds: float, *, silent: bool) -> bool:
    """Wait for so long; whether there is somebody at the other end, who may be `silent`."""
    _end.waits = True
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            heard = bool(select.select([0], [], [], seconds)[0])
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    except Ended:
        return False
    _end.waits = False
    return bool(os.read(0, 4096)) if heard else silent


def _wait_for(state: Path, holder: dict[str, Any], seconds: float) -> IO[str] | None:
    """The lock, with its holder written into it; None after having told who else has it."""
    start = time.monotonic()
    told = False
    lock = _locked(state)
    while lock is None:
        waited = time.monotonic() - start
        other = _holder(state)
        if waited >= max(seconds, GRACE_SECONDS):
            reply({"held": False, "holder": other})
            return None
        if not told and waited >= GRACE_SECONDS:
            reply({"held": False, "waiting": True, "holder": other})
            told = True
        if not _goes_on(POLL_SECONDS, silent=True):
            return None
        lock = _locked(state)
    # Where the folder is only shown to a container, its host writes who it is.
    if lock.writable():
        lock.truncate(0)
        json.dump(holder, lock)
        lock.flush()
    return lock


def _locked(state: Path) -> IO[str] | None:
    """The file of the lock, locked; None where somebody else has it."""
    path = state / "lock"
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+", encoding="utf-8")
    except OSError:
        lock = path.open(encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except BaseException:
        lock.close()
        raise
    return lock


def _holder(state: Path) -> dict[str, Any] | None:
    try:
        holder = json.loads((state / "lock").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return holder if isinstance(holder, dict) else None


def _remember(state: Path, settings: Settings) -> None:
    """Write the memory whole, and only where there is none; for who holds the lock."""
    if (state / MEMORY).exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(state / MEMORY))
    new = state / (MEMORY + ".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(settings, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(state / MEMORY)
    folder = os.open(state, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _call_phone(value: str) -> bool:
    """Have Android (11 and later) hold the clock at what it can sustain, or let it go."""
    if shutil.which(PHONE[0]) is None:
        return False
    try:
        done = subprocess.run([*PHONE, value], stdout=subprocess.DEVNULL, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return not done.returncode


def _write(file: str, text: str) -> bool:
    try:
        Path(file).write_text(text + "\n", "utf-8")
    except OSError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class _End:
    """What a signal does: it ends this process's wait, once, and nothing at other times."""

    def __init__(self) -> None:
        self.waits = False

    def __call__(self, number: int, _: object) -> None:
        # Of several that came at once, Python would raise the others from whatever follows.
        if self.waits:
            self.waits = False
            raise Ended(number)


_end = _End()


if __name__ == "__main__":
    sys.exit(main())
