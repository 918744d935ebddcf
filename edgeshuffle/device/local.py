"""The machine that edgeshuffle itself runs on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from edgeshuffle.device import DeviceInfo
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.runtime.agent import describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class LocalDevice:
    """This machine, and the Python that runs edgeshuffle."""

    python = sys.executable

    def __init__(self) -> None:
        self._processes: list[JsonProcess] = []

    def info(self) -> DeviceInfo:
        """What this machine shows of itself."""
        return DeviceInfo.of(describe())

    def push(self, file: Path) -> str:
        """A file is here already."""
        return str(file.absolute())

    def spawn(self, argv: Sequence[str]) -> JsonProcess:
        """Start a process that ends with the `with` block; raises DeviceError."""
        process = JsonProcess(argv, "on this machine")
        self._processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._processes:
            self._processes.pop().close()


def connect(address: str, progress: object) -> LocalDevice:  # noqa: ARG001
    """This machine, which has no address."""
    if address:
        raise UnknownNameError(f"'local' takes no address, so leave out '://{address}'.")
    return LocalDevice()
