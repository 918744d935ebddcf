"""Wheels of the runtimes for another machine, fetched here and never built."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import DeviceError

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
    version = f"{python[0]}{python[1]}"
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", version]
    tags = [f"manylinux_2_{minor}" for minor in _GLIBC if (2, minor) <= glibc]
    for tag in (*tags, "manylinux2014", "linux"):
        options += ["--platform", f"{tag}_{machine}"]
    for abi in (f"cp{version}", "abi3", "none"):
        options += ["--abi", abi]
    if alone:
        options.append("--no-deps")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    run_tool([*pip, *options, "--dest", str(folder), *requirements], "pip")
    return sorted(folder.glob("*.whl"))


def run_tool(argv: Sequence[str], name: str) -> None:
    """Run a package manager of this machine; raises DeviceError with its reason."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as err:
        raise DeviceError(
            f"{name} is needed to fetch the device's files, and is not installed here."
        ) from err
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        marked = [line for line in lines if line.startswith(("E:", "ERROR"))]
        reason = (marked or lines or ["no reason given"])[0].strip()
        raise DeviceError(
            f"{name} cannot fetch the device's files ({reason[:200]}). It needs the package "
            "registries once."
        )
