"""Inference runtimes by name. Their modules also run as loose files on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    import numpy as np


class Session(Protocol):
    """One loaded model. Images are float32 (1, 3, H, W), logits float32 (num_classes,)."""

    version: str
    input_shape: tuple[int, int, int, int]

    def run(self, image: np.ndarray) -> np.ndarray: ...
    def stage(self, image: np.ndarray) -> None: ...
    def invoke(self) -> None: ...


class Runtime(Protocol):
    """What a runtime's module offers."""

    def open_session(self, path: str, threads: int) -> Session: ...


RUNTIMES: Table[Runtime] = Table("runtime", "edgeshuffle.agent", "runtime", "ort", "litert")
