"""The machine that edgeshuffle itself runs on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from edgeshuffle.device import DeviceInfo
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.runtime.agent import describe, restore_governors, set_governors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class LocalDevice:
    """This machine, and the Python that runs edgeshuffle."""

    python = sys.executable

    def __init__(self) -> None:
        self._processes: list[JsonProcess] = []
        self._governors: dict[str, str] = {}

    def info(self) -> DeviceInfo:
        """What this machine shows of itself."""
        return DeviceInfo.of(self.describe())

    def describe(self) -> dict[str, Any]:
        """All that the agent tells of this machine."""
        return describe()

    def set_up(self) -> str:
        """The runtimes are installed with edgeshuffle, or are not."""
        return sys.prefix

    def steady(self) -> None:
        """Set the clock governor to `performance` where this user may."""
        self._governors = set_governors("performance")

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
        restore_governors(self._governors)


def connect(address: str, progress: object) -> LocalDevice:  # noqa: ARG001
    """This machine, which has no address."""
    if address:
        raise UnknownNameError(f"'local' takes no address, so leave out '://{address}'.")
    return LocalDevice()
