"""Where tests find a device of each kind, or the reason why there is none."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from standins import docker, images, phone, pi

from edgeshuffle.device import open_device
from edgeshuffle.device.emulated.boards import BOARDS
from edgeshuffle.errors import DeviceError
from edgeshuffle.host.folders import cache_folder
from edgeshuffle.payload.rootfs import root_filesystem


def address(kind):
    """What `--device` takes for a device of this kind; skips the test where there is none."""
    kinds = {
        "local": lambda: "local",
        "emulated": emulated,
        "ssh": ssh,
        "adb": adb,
        "docker": runner,
    }
    return kinds[kind]()


def emulated(board="pi5"):
    reason = why_not_emulated()
    if reason:
        pytest.skip(reason)
    return f"emulated://{board}"


def ssh():
    return stand_in("ssh").address


def adb():
    return stand_in("adb").address


@cache
def runner():
    """The ssh board, with a `docker` whose one image has the emulated board's files."""
    reason = images.missing() or images.missing_emulator()
    if reason:
        pytest.skip(reason)
    made = stand_in("ssh")
    emulators = images.Emulators()
    atexit.register(emulators.close)
    root = root_filesystem(cache_folder() / "emulated", lambda *_: None)
    core = BOARDS["pi4"].qemu_cpu
    containers = made.folder / "containers"
    made.program("docker", docker.script(containers, {"runner": root}, made.root, core))
    return f"docker://{made.address.removeprefix('ssh://')}/runner"


@cache
def stand_in(kind):
    """One device for all tests that do not harm it; skips the test where there can be none."""
    reason = {"ssh": pi, "adb": phone}[kind].missing() or why_not_emulated()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    made = start(kind, folder)
    atexit.register(lambda: (made.stop(), shutil.rmtree(folder, ignore_errors=True)))
    os.environ.update(made.environment())
    return made


def start(kind, folder, **options):
    """A device of the test's own, which the test must stop."""
    if kind == "adb":
        return phone.start(folder, adb_server(), **options)
    return pi.start(folder, **options)


def boards(kind, folder, monkeypatch):
    """What a fixture yields: a function that starts a device, stopped at the test's end."""
    stand_in(kind)
    started = []

    def start_one(**options):
        place = folder / f"{kind}{len(started)}"
        place.mkdir()
        made = start(kind, place, **options)
        started.append(made)
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        return made

    yield start_one
    for made in started:
        made.stop()


@cache
def adb_server():
    """The adb server of all tests."""
    server = phone.AdbServer()
    atexit.register(server.stop)
    return server


@cache
def why_not_emulated():
    if shutil.which("qemu-aarch64") is None:
        return "qemu-user is not installed"
    try:
        with open_device("emulated://pi5"):
            return None
    except DeviceError as err:
        return str(err)
