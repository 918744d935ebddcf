"""What dissolving the channel shuffles of an ONNX file would save: done on a copy, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.errors import EdgeShuffleError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import onnx

    # Shuffles, operators that move data, and the bytes that these move.
    Counts = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Dissolved:
    """Shuffles, operators that only move data, and bytes that these move, of the simplified float
    model before and after; the latter are None with the `reason` where it cannot be done.

    `reason` is also there where the passes say what they left.
    """

    shuffles: int | None = None
    moving: tuple[int, int] | None = None
    moved_bytes: tuple[int, int] | None = None
    reason: str | None = None


def dissolve(
    path: Path,
    resolution: tuple[int, int] | None,
    count: Callable[[onnx.ModelProto], Counts],
) -> Dissolved:
    """Read a float file as an export would, and count before and after the passes."""
    import onnx_ir as ir

    from edgeshuffle.converter.frontend import to_ir
    from edgeshuffle.converter.frontend.onnx_file import read_onnx
    from edgeshuffle.converter.passes import run_passes

    try:
        model = to_ir(read_onnx(path, resolution))
        _, before, bytes_before = count(ir.to_proto(model))
        logs = run_passes(model)
        left, after, bytes_after = count(ir.to_proto(model))
    except EdgeShuffleError as err:
        return Dissolved(reason=str(err))
    reasons = [reason for log in logs for reason in log.outcome.left]
    return Dissolved(
        shuffles=left,
        moving=(before, after),
        moved_bytes=(bytes_before, bytes_after),
        reason="; ".join(reasons) or None,
    )
