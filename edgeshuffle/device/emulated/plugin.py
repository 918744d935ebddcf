"""The counting plugin for qemu: compiled at first use, and what it wrote read back."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from edgeshuffle.device.emulated.llvm_mca import WORD
from edgeshuffle.errors import DeviceError
from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.payload.rootfs import alone
from edgeshuffle.untrusted import UntrustedError, decode, last_line, read_bounded

SOURCE: Final = Path(__file__).with_name("count_instructions.c")
_INCLUDED: Final = SOURCE.with_name("data_caches.h")
MAX_COUNTS: Final = 2**20
MAX_BLOCKS: Final = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What ran in the shortest inference: code of blocks, and how often each; misses by cache."""

    blocks: dict[bytes, int]
    misses: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Head:
    instructions: int
    misses: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Block:
    runs: Annotated[int, Meta(ge=1, le=2**53)]
    code: Annotated[str, Meta(pattern="^([0-9a-f]{8}){1,512}$")]


def compiled(cache: Path) -> Path:
    """The plugin's library in `cache`; raises DeviceError where there is no C compiler."""
    digest = hashlib.sha256(SOURCE.read_bytes() + _INCLUDED.read_bytes()).hexdigest()[:16]
    target = cache / f"count_instructions-{digest}.so"
    if not target.exists():
        with alone(target):
            if not target.exists():
                _compile(target)
    return target


def _compile(target: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise DeviceError("Counting instructions needs a C compiler: install the package gcc.")
    with atomic_file(target) as temporary:
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(temporary), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise DeviceError(
                f"{compiler} cannot compile {SOURCE.name} ({last_line(done.stderr)}). Check that "
                "libc6-dev is installed."
            )


def read_counts(path: Path, regions: int) -> tuple[dict[str, int], ...]:
    """Counts by class of the last regions 1 to `regions` in a plugin's file; raises DeviceError."""
    try:
        entries = [
            decode(line, dict[str, int]) for line in read_bounded(path, MAX_COUNTS).splitlines()
        ]
    except (UntrustedError, OSError):
        entries = []
    found = entries[-regions:]
    whole = all("instructions" in entry for entry in found)
    if not whole or [entry.get("region") for entry in found] != list(range(1, regions + 1)):
        raise _other(path)
    return tuple({key: n for key, n in entry.items() if key != "region"} for entry in found)


def read_blocks(path: Path) -> Ran:
    """What a plugin's file says of the shortest inference; raises DeviceError."""
    found: Counter[bytes] = Counter()
    try:
        head, *lines = read_bounded(path, MAX_BLOCKS).splitlines()
        for line in lines:
            block = decode(line, _Block)
            found[bytes.fromhex(block.code)] += block.runs
        told = decode(head, _Head)
    except (UntrustedError, OSError, ValueError) as err:
        raise _other(path) from err
    counted = sum(runs * len(code) // WORD for code, runs in found.items())
    if not found or told.instructions != counted:
        raise _other(path)
    return Ran(blocks=dict(found), misses=told.misses)


def _other(path: Path) -> DeviceError:
    return DeviceError(
        f"The emulator reported other regions than were run ({path}). Use qemu-user of a version "
        "from 7.2 to 8.2."
    )
