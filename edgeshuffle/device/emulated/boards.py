"""The boards that can be emulated: what their kernels show of them, and qemu's name of their core.

Runtimes choose their kernels by these files, so they must agree with the core: cpuinfo of a newer
core than the emulated one ends in an illegal instruction. Values are the boards' own; where a Pi
would count or heat up, the files are still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CORES: Final = 4
_IMPLEMENTER_ARM: Final = 0x41
_LINE: Final = 64


@dataclass(frozen=True)
class Cache:
    """A data or unified cache with lines of 64 bytes."""

    kib: int
    ways: int

    @property
    def sets(self) -> int:
        """How many lines are told apart by their address."""
        return self.kib * 1024 // (_LINE * self.ways)


@dataclass(frozen=True, kw_only=True)
class Board:
    """A Raspberry Pi; `part`, `variant` and `revision` as in its MIDR_EL1 register, clocks in kHz.

    `qemu_cpu` is the core's name in qemu, `llvm_cpu` that of LLVM's nearest scheduling model,
    `caches` are those that data of one core go through, from the first level on.
    """

    model: str
    qemu_cpu: str
    llvm_cpu: str
    caches: tuple[Cache, ...]
    part: int
    variant: int
    revision: int
    features: str
    min_khz: int
    max_khz: int


BOARDS: Final = {
    "pi3": Board(
        model="Raspberry Pi 3 Model B Plus Rev 1.3",
        qemu_cpu="cortex-a53",
        llvm_cpu="cortex-a53",
        caches=(Cache(32, 4), Cache(512, 16)),
        part=0xD03,
        variant=0,
        revision=4,
        features="fp asimd evtstrm crc32 cpuid",
        min_khz=600_000,
        max_khz=1_400_000,
    ),
    "pi4": Board(
        model="Raspberry Pi 4 Model B Rev 1.4",
        qemu_cpu="cortex-a72",
        llvm_cpu="cortex-a72",
        caches=(Cache(32, 2), Cache(1024, 16)),
        part=0xD08,
        variant=0,
        revision=3,
        features="fp asimd evtstrm crc32 cpuid",
        min_khz=600_000,
        max_khz=1_800_000,
    ),
    "pi5": Board(
        model="Raspberry Pi 5 Model B Rev 1.0",
        qemu_cpu="cortex-a76",
        # The same core for servers; LLVM takes a Cortex-A76 for a Cortex-A57.
        llvm_cpu="neoverse-n1",
        caches=(Cache(64, 4), Cache(512, 8), Cache(2048, 16)),
        part=0xD0B,
        variant=4,
        revision=1,
        features=(
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
            "dcpop asimddp"
        ),
        min_khz=1_500_000,
        max_khz=2_400_000,
    ),
}


def write_board(board: Board, root: Path) -> None:
    """Write the board's /proc and /sys below `root`."""
    for path, text in _files(board).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", "utf-8")


def _files(board: Board) -> dict[str, str]:
    core = (
        f"BogoMIPS\t: 108.00\nFeatures\t: {board.features}\n"
        f"CPU implementer\t: {_IMPLEMENTER_ARM:#x}\nCPU architecture: 8\n"
        f"CPU variant\t: {board.variant:#x}\nCPU part\t: {board.part:#x}\n"
        f"CPU revision\t: {board.revision}\n"
    )
    cores = "\n".join(f"processor\t: {index}\n{core}" for index in range(CORES))
    everyone = f"0-{CORES - 1}"
    cpu = "sys/devices/system/cpu"
    files = {
        "proc/cpuinfo": f"{cores}\nModel\t\t: {board.model}",
        "sys/firmware/devicetree/base/model": board.model,
        f"{cpu}/present": everyone,
        f"{cpu}/possible": everyone,
        f"{cpu}/online": everyone,
    }
    for index in range(CORES):
        clocks, topology = f"{cpu}/cpu{index}/cpufreq", f"{cpu}/cpu{index}/topology"
        files |= {
            f"{clocks}/cpuinfo_min_freq": str(board.min_khz),
            f"{clocks}/cpuinfo_max_freq": str(board.max_khz),
            f"{clocks}/scaling_min_freq": str(board.min_khz),
            f"{clocks}/scaling_max_freq": str(board.max_khz),
            f"{topology}/core_id": str(index),
            f"{topology}/core_cpus_list": str(index),
            f"{topology}/thread_siblings_list": str(index),
            f"{topology}/core_siblings_list": everyone,
            f"{topology}/package_cpus_list": everyone,
            f"{topology}/physical_package_id": "0",
        }
    return files
