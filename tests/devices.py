"""Where tests find a device of each kind, or the reason why there is none."""

from __future__ import annotations

import shutil
from functools import cache

import pytest

from edgeshuffle.device import open_device
from edgeshuffle.errors import DeviceError


def address(kind):
    """What `--device` takes for a device of this kind; skips the test where there is none."""
    return {"local": lambda: "local", "emulated": emulated}[kind]()


def emulated(board="pi5"):
    reason = why_not_emulated()
    if reason:
        pytest.skip(reason)
    return f"emulated://{board}"


@cache
def why_not_emulated():
    if shutil.which("qemu-aarch64") is None:
        return "qemu-user is not installed"
    try:
        with open_device("emulated://pi5"):
            return None
    except DeviceError as err:
        return str(err)
