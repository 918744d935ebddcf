"""Wheels of the runtimes for another machine, chosen by the package index, and never built here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.errors import DeviceError
from edgeshuffle.untrusted import UntrustedError, decode, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Packages of the runtimes by machine; 32-bit ARM has no wheel of the newer ones, nor one of numpy.
RUNTIMES: Final = {
    "aarch64": ("onnxruntime", "ai-edge-litert"),
    "armv7l": ("tflite-runtime==2.14.0",),
}
# Its NumPy is the system's.
WITHOUT_NUMPY: Final = ("armv7l",)
# pip does not take a newer platform tag to include the older ones.
_GLIBC: Final = (17, 24, 26, 27, 28, 31, 34, 35, 36)
# What pip says when it has asked nobody, besides that it found nothing.
_OFFLINE: Final = ("Retrying (", "connection", "timed out", "Temporary failure in name resolution")
_NONE_FITS: Final = ("No matching distribution", "Could not find a version")


class Described(Protocol):
    """What a device says of itself, as far as wheels depend on it; `glibc` is None without one."""

    @property
    def machine(self) -> str: ...
    @property
    def is_arm(self) -> bool: ...
    @property
    def bits(self) -> int: ...
    @property
    def glibc(self) -> str | None: ...
    @property
    def glibc_version(self) -> tuple[int, int]: ...
    @property
    def python_version(self) -> tuple[int, int]: ...


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The runtimes' packages for a device, with their versions; `absent` have none that fits.

    `here` are the versions on this machine, which are taken where they fit.
    """

    machine: str
    python: tuple[int, int]
    versions: dict[str, str]
    absent: tuple[str, ...]
    here: dict[str, str]

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is asked for."""
        return tuple(f"{name}=={version}" for name, version in self.versions.items())

    @property
    def without_numpy(self) -> bool:
        """Whether the device has to have NumPy itself."""
        return self.machine in WITHOUT_NUMPY

    @property
    def why_not(self) -> str:
        """What the absent packages lack."""
        python = ".".join(map(str, self.python))
        return f"no wheel of {' or '.join(self.absent)} fits Python {python} on {self.machine}"


@dataclass(frozen=True)
class _Metadata:
    version: str


@dataclass(frozen=True)
class _Installed:
    metadata: _Metadata


@dataclass(frozen=True)
class _Report:
    """As far as it is used, pip's own (https://pip.pypa.io/en/stable/reference/installation-report)."""

    install: list[_Installed]


def machine_of(described: Described, name: str) -> str:
    """The machine whose wheels a device takes; raises DeviceError where there are none."""
    # A 64-bit kernel may run 32-bit programs.
    machine = "armv7l" if described.is_arm and described.bits == 32 else described.machine
    if machine not in RUNTIMES:
        raise DeviceError(
            f"{name} is a {machine}, for which there are no runtimes here. Known: "
            f"{', '.join(RUNTIMES)}."
        )
    return machine


def wanted(described: Described, name: str) -> tuple[str, ...]:
    """Requirements for the versions of this machine, so that both run the same code."""
    packages = RUNTIMES[machine_of(described, name)]
    return tuple(package if "==" in package else installed_here(package) for package in packages)


def choose(described: Described, name: str) -> Choice:
    """The versions of this machine where their wheels fit the device, else the newest that do.

    This is the only place that knows which devices can be served. Raises DeviceError for a machine
    that cannot, and where the package index cannot be asked.
    """
    versions, absent, here = {}, [], {}
    machine = machine_of(described, name)
    for requirement in wanted(described, name):
        package, _, version = requirement.partition("==")
        here[package] = version
        found = None
        if described.glibc is not None:
            target = (machine, described.python_version, described.glibc_version)
            found = _newest(requirement, *target) or _newest(package, *target)
        if found is None:
            absent.append(package)
        else:
            versions[package] = found
    return Choice(
        machine=machine,
        python=described.python_version,
        versions=versions,
        absent=tuple(absent),
        here=here,
    )


@cache
def _newest(
    requirement: str, machine: str, python: tuple[int, int], glibc: tuple[int, int]
) -> str | None:
    """The newest version with a wheel for that machine, or None; raises DeviceError."""
    with tempfile.TemporaryDirectory() as folder:
        argv = ["install", "--dry-run", "--no-deps", "--report", "-", "--target", folder]
        argv += ["--retries", "1", *_target(machine, python, glibc), requirement]
        done = _pip(argv, folder)
    if done.returncode:
        asked = not any(symptom in done.stderr for symptom in _OFFLINE)
        if asked and any(symptom in done.stderr for symptom in _NONE_FITS):
            return None
        raise _failed(done, "pip")
    try:
        (found,) = decode(done.stdout, _Report).install
    except (UntrustedError, ValueError) as err:
        raise DeviceError(f"pip's report cannot be read ({err}). Update pip.") from err
    return found.metadata.version


def installed_here(name: str) -> str:
    """A requirement for the version on this machine, so that both run the same code."""
    try:
        return f"{name}=={metadata.version(name)}"
    except metadata.PackageNotFoundError as err:
        raise DeviceError(
            f"A device gets the version of {name} that is installed here, and none is: "
            "pip install 'edgeshuffle[runtime]'."
        ) from err


def download_wheels(
    requirements: Sequence[str],
    *,
    machine: str,
    python: tuple[int, int],
    glibc: tuple[int, int],
    folder: Path,
    alone: bool = False,
) -> list[Path]:
    """Fetch wheels for a machine such as `aarch64`, and unless `alone` what they depend on.

    Raises DeviceError.
    """
    argv = ["download", "--dest", str(folder.absolute()), *_target(machine, python, glibc)]
    if alone:
        argv.append("--no-deps")
    with tempfile.TemporaryDirectory() as empty:
        done = _pip([*argv, *requirements], empty)
    if done.returncode:
        raise _failed(done, "pip")
    return sorted(folder.glob("*.whl"))


def run_tool(argv: Sequence[str], name: str) -> None:
    """Run a package manager of this machine; raises DeviceError with its reason."""
    done = _run(argv, name)
    if done.returncode:
        raise _failed(done, name)


def _target(machine: str, python: tuple[int, int], glibc: tuple[int, int]) -> list[str]:
    version = f"{python[0]}{python[1]}"
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", version]
    tags = [f"manylinux_2_{minor}" for minor in _GLIBC if (2, minor) <= glibc]
    for tag in (*tags, "manylinux2014", "linux"):
        options += ["--platform", f"{tag}_{machine}"]
    for abi in (f"cp{version}", "abi3", "none"):
        options += ["--abi", abi]
    return options


def _pip(arguments: Sequence[str], folder: str) -> subprocess.CompletedProcess[str]:
    """Run pip isolated and in an empty folder, so that no module of the user's is taken for its."""
    command, *rest = arguments
    quiet = [command, "--quiet", "--disable-pip-version-check", "--no-input"]
    return _run([sys.executable, "-I", "-m", "pip", *quiet, *rest], "pip", folder)


def _run(
    argv: Sequence[str], name: str, folder: str | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=folder,
            # What pip leaves when it is killed goes with the folder.
            env=None if folder is None else {**os.environ, "TMPDIR": folder},
        )
    except FileNotFoundError as err:
        raise DeviceError(
            f"{name} is needed to fetch the device's files, and is not installed here."
        ) from err


def _failed(done: subprocess.CompletedProcess[str], name: str) -> DeviceError:
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("E:", "ERROR"))]
    reason = quoted((marked or lines or ["no reason given"])[0])
    return DeviceError(
        f"{name} cannot fetch the device's files ({reason}). It needs the package registries once."
    )
