"""Where tests find a device of each kind, or the reason why there is none."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from standins import pi

from edgeshuffle.device import open_device
from edgeshuffle.errors import DeviceError


def address(kind):
    """What `--device` takes for a device of this kind; skips the test where there is none."""
    return {"local": lambda: "local", "emulated": emulated, "ssh": ssh}[kind]()


def emulated(board="pi5"):
    reason = why_not_emulated()
    if reason:
        pytest.skip(reason)
    return f"emulated://{board}"


def ssh():
    reason = pi.missing() or why_not_emulated()
    if reason:
        pytest.skip(reason)
    return stand_in_pi().address


@cache
def stand_in_pi():
    """One board for all tests that do not harm it."""
    folder = Path(tempfile.mkdtemp(prefix="pi-"))
    board = pi.start(folder)
    atexit.register(lambda: (board.stop(), shutil.rmtree(folder, ignore_errors=True)))
    os.environ["PATH"] = f"{board.path}{os.pathsep}{os.environ['PATH']}"
    return board


@cache
def why_not_emulated():
    if shutil.which("qemu-aarch64") is None:
        return "qemu-user is not installed"
    try:
        with open_device("emulated://pi5"):
            return None
    except DeviceError as err:
        return str(err)
