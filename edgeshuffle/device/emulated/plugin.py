"""The counting plugin for qemu: compiled at first use, and what it wrote read back."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

from edgeshuffle.errors import DeviceError
from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.payload.rootfs import alone
from edgeshuffle.untrusted import UntrustedError, decode, last_line, read_bounded

SOURCE: Final = Path(__file__).with_name("count_instructions.c")
MAX_COUNTS: Final = 2**20


def compiled(cache: Path) -> Path:
    """The plugin's library in `cache`; raises DeviceError where there is no C compiler."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
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
        raise DeviceError(
            f"The emulator reported other regions than were run ({path}). Use qemu-user of a "
            "version from 7.2 to 8.2."
        )
    return tuple({key: n for key, n in entry.items() if key != "region"} for entry in found)
