"""Two runs side by side, if they measured under the same conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.bench.stats import Estimate, ratio_of_medians
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeshuffle.bench.record import Record


@dataclass(frozen=True, kw_only=True)
class Change:
    """Median of now over the median of then, below 1 is faster; and whether the files differ."""

    runtime: str
    precision: str
    ratio: Estimate
    same_file: bool


def compare(now: Sequence[Record], then: Sequence[Record]) -> tuple[Change, ...]:
    """A change for every model file that both runs have.

    The runs' blocks are drawn independently of each other: nothing that slowed one of them down
    cancels. Raises ArtifactError, naming the field, where the conditions differ, and where the runs
    have no file in common.
    """
    earlier = {(record.runtime, record.precision): record for record in then}
    changes = []
    for record in now:
        other = earlier.get((record.runtime, record.precision))
        if other is None:
            continue
        for field, (ours, theirs) in _conditions(record, other):
            if ours != theirs:
                raise ArtifactError(
                    f"{record.runtime}/{record.precision} cannot be compared: {field} is {ours} in "
                    f"one run and {theirs} in the other. Measure both alike."
                )
        changes.append(
            Change(
                runtime=record.runtime,
                precision=record.precision,
                ratio=ratio_of_medians(record.blocks, other.blocks, record.seed, paired=False),
                same_file=record.file_sha256 == other.file_sha256,
            )
        )
    if not changes:
        raise ArtifactError("The two runs have no runtime and precision in common.")
    return tuple(changes)


def _conditions(a: Record, b: Record) -> Iterator[tuple[str, tuple[object, object]]]:
    for field in ("model", "threads", "cores", "mode", "runtime_version"):
        yield field, (getattr(a, field), getattr(b, field))
    for field in ("machine", "cpu", "governor", "python"):
        yield field, (getattr(a.device, field), getattr(b.device, field))
