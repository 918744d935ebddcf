"""Inference runtimes by name. Their modules also run as loose files on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    import numpy as np


class Session(Protocol):
    """One loaded model. Images are float32 (N, C, H, W) of its batch N, which is 1 where it is
    open; outputs are float32 in the file's order, and those of rank 4 are (N, C, H, W), too.
    """

    version: str
    input_shape: tuple[int, int, int, int]

    def run(self, images: np.ndarray) -> list[np.ndarray]: ...
    def stage(self, images: np.ndarray) -> None: ...
    def invoke(self) -> None: ...


class Runtime(Protocol):
    """What a runtime's module offers."""

    def open_session(self, path: str, threads: int) -> Session: ...


RUNTIMES: Table[Runtime] = Table("runtime", "edgeshuffle.agent", "runtime", "ort", "litert")
