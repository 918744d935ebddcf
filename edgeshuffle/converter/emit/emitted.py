"""What an emitter returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeshuffle.artifact import TensorInfo


@dataclass(frozen=True)
class Emitted:
    """A model file's bytes, its input and outputs, and how often each operator occurs in it."""

    data: bytes
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]
    ops: dict[str, int]
