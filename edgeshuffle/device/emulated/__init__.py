"""A Raspberry Pi's userland under qemu-user: real ARM code, without root, board or container.

What it computes is what the board computes, and the instructions it runs are counted; how long it
takes says nothing about the board.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.agent import agent_files
from edgeshuffle.device import replies
from edgeshuffle.device.emulated.boards import BOARDS, Board, write_board
from edgeshuffle.device.emulated.cycles import estimate_cycles
from edgeshuffle.device.emulated.llvm_mca import find_tools
from edgeshuffle.device.emulated.plugin import compiled, read_blocks, read_counts
from edgeshuffle.device.in_use import InUse
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.errors import DeviceError, UnknownNameError
from edgeshuffle.host.folders import cache_folder
from edgeshuffle.payload.rootfs import PYTHON, SITE, root_filesystem
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.device.cycles import Cycles
    from edgeshuffle.progress import Progress

QEMU: Final = "qemu-aarch64"


def emulation_cache() -> Path:
    """Where the boards' files, the plugin and what blocks take are kept."""
    return cache_folder() / "emulated"


class EmulatedProcess(JsonProcess):
    """A process whose instructions are counted into a file, and blocks of code into another one."""

    def __init__(
        self,
        argv: Sequence[str],
        where: str,
        environment: dict[str, str],
        counts: Path,
        blocks: Path,
        core: str,
    ) -> None:
        super().__init__(argv, where, environment)
        self._counts = counts
        self._blocks = blocks
        self._core = core

    def count(self, n: int, timeout: float) -> tuple[dict[str, int], ...]:
        """Instructions of `n` inferences each, by class; raises DeviceError."""
        reply = self.ask({"cmd": "count", "n": n}, timeout)
        if "error" in reply:
            failed = replies.read(reply, replies.Failed, self.where)
            raise DeviceError(f"Counting failed {self.where} ({failed.error}). Run it again.")
        replies.read(reply, replies.Marked, self.where)
        return read_counts(self._counts, n)

    def cycles(self) -> Cycles:
        """Estimated, of the shortest inference that was counted last; raises DeviceError."""
        return estimate_cycles(read_blocks(self._blocks), self._core, emulation_cache())


class EmulatedDevice(InUse):
    """One board, with a private folder for its own files."""

    def __init__(self, name: str, board: Board, root: Path, plugin: Path) -> None:
        self._name = name
        self._board = board
        self._plugin = plugin
        self._processes: list[JsonProcess] = []
        self._estimating = False
        self._described: replies.Described | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="edgeshuffle-"))
        # qemu looks up every path here first. The big folders are shared between all boards.
        for entry in root.iterdir():
            (self._folder / entry.name).symlink_to(entry)
        write_board(board, self._folder)
        self._python = self._folder / "usr" / "bin" / f"python{PYTHON[0]}.{PYTHON[1]}"

    @property
    def python(self) -> str:
        """The board's interpreter."""
        return str(self._python)

    def describe(self) -> replies.Described:
        """All that the agent tells of the board; raises DeviceError."""
        if self._described is None:
            process = self.spawn([self.python, self.push_program(*agent_files()), "--describe"])
            told = replies.read(
                process.reply(replies.START_SECONDS), replies.Described, process.where
            )
            # The load and room are the host's, seen through the emulator.
            self._described = replace(
                told, emulated=True, counted=True, load=None, free_bytes=None, memory_bytes=None
            )
        return self._described

    def choose(self) -> None:
        """The runtimes are part of the board's root."""

    def set_up(self, wait: float = 0.0) -> str:  # noqa: ARG002
        """The runtimes are part of the board's root."""
        return str(self._folder / SITE)

    def steady(self, wait: float = 0.0) -> None:
        """There are no times here, so nothing makes them vary."""

    def prepare_cycles(self) -> None:
        """Have processes tell what they ran from now on; raises DeviceError without llvm-mca."""
        find_tools()
        self._estimating = True

    def push(self, file: Path) -> str:
        """A file is visible to the board where it lies."""
        return str(file.absolute())

    def push_program(self, *files: Path) -> str:
        """A program is visible to the board where it lies, with all that is beside it."""
        return self.push(files[-1])

    def spawn(self, argv: Sequence[str]) -> EmulatedProcess:
        """Start a program of the board; raises DeviceError."""
        number = len(self._processes)
        counts, blocks = (self._folder / f"{name}-{number}.jsonl" for name in ("counts", "blocks"))
        emulator = [QEMU, "-cpu", self._board.qemu_cpu, "-L", str(self._folder)]
        plugin = f"{self._plugin},out={counts}"
        if self._estimating:
            caches = ":".join(f"{cache.sets}x{cache.ways}" for cache in self._board.caches)
            plugin += f",blocks={blocks},caches={caches}"
        emulator += ["-plugin", plugin]
        environment = {
            "PYTHONHOME": str(self._folder / "usr"),
            "PYTHONPATH": str(self._folder / SITE),
            "PYTHONNOUSERSITE": "1",
            # Sets and dictionaries in the same order give the same instructions.
            "PYTHONHASHSEED": "0",
        }
        process = EmulatedProcess(
            [*emulator, *argv],
            f"on {self._name}",
            environment,
            counts,
            blocks,
            self._board.llvm_cpu,
        )
        self._processes.append(process)
        return process

    def _let_go(self) -> None:
        while self._processes:
            self._processes.pop().close()
        shutil.rmtree(self._folder, ignore_errors=True)


def check(address: str) -> None:
    """Raise UnknownNameError unless it is a board's name."""
    if address not in BOARDS:
        raise UnknownNameError(f"Unknown board '{quoted(address)}'. Known: {', '.join(BOARDS)}.")


def connect(address: str, progress: Progress) -> EmulatedDevice:
    """The board of that name; its root is built at first use. Raises DeviceError."""
    if shutil.which(QEMU) is None:
        raise DeviceError(f"{QEMU} is not installed: install the package qemu-user.")
    cache = emulation_cache()
    root = root_filesystem(cache, progress)
    return EmulatedDevice(f"emulated://{address}", BOARDS[address], root, compiled(cache))
