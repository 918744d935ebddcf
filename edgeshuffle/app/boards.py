"""The boards that an app is for, and the packages that it needs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.payload.wheels import RUNTIMES, WITHOUT_NUMPY, installed_here

# What the runtimes' packages are called, on 64 and on 32 bits.
_PACKAGES: Final = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "ort": ("onnxruntime",),
}
_SHARED: Final = ("numpy", "pillow")
_VENV: Final = ".venv/bin/python"


@dataclass(frozen=True, kw_only=True)
class Board:
    """One kind of board: `name` for people, and how its Python is called.

    `packages` says whether that is a Python that pip has wheels for, `rpicam` whether rpicam-apps
    run there.
    """

    name: str
    python: str
    packages: bool
    rpicam: bool


BOARDS: Final = {
    "generic": Board(name="a Linux board", python=_VENV, packages=True, rpicam=False),
    "pi": Board(name="a Raspberry Pi", python=_VENV, packages=True, rpicam=True),
    "android": Board(name="an Android phone", python="python3", packages=False, rpicam=False),
}


def board_of(name: str) -> Board:
    """Raises UnknownNameError."""
    if name not in BOARDS:
        raise UnknownNameError(f"Unknown board '{name}'. Known: {', '.join(BOARDS)}.")
    return BOARDS[name]


def requirements(runtime: str) -> tuple[str, ...]:
    """Pip's lines, pinned to the versions of this machine; raises DeviceError where it has none.

    32-bit ARM has an older runtime, and its NumPy is the system's (`payload.wheels`).
    """
    (old_machine,) = WITHOUT_NUMPY
    (package,) = (name for name in _PACKAGES[runtime] if name in RUNTIMES["aarch64"])
    numpy, pillow = map(installed_here, _SHARED)
    return (
        f'{installed_here(package)} ; platform_machine != "{old_machine}"',
        *(f'{pinned} ; platform_machine == "{old_machine}"' for pinned in _for_32_bits(runtime)),
        f'{numpy} ; platform_machine != "{old_machine}"',
        pillow,
    )


def on_32_bits(runtime: str) -> str:
    """What the README says of 32-bit systems."""
    if _for_32_bits(runtime):
        return "32-bit systems need the package `python3-numpy`, and Python 3.11 at most."
    return "It needs a 64-bit system, as there is no such runtime for 32 bits."


def _for_32_bits(runtime: str) -> list[str]:
    (old_machine,) = WITHOUT_NUMPY
    return [one for one in RUNTIMES[old_machine] if one.partition("==")[0] in _PACKAGES[runtime]]
