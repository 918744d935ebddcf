"""Two runs side by side, if they measured under the same conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from edgeshuffle.errors import ArtifactError
from edgeshuffle.runner.bench.record import Count, Record
from edgeshuffle.runner.bench.stats import Estimate, ratio_of_medians, summarize
from edgeshuffle.runner.bench.verdict import Verdict, judge, judge_count, steady_state
from edgeshuffle.runner.files import NamedFile
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeshuffle.runner.bench.events import Run
    from edgeshuffle.runner.bench.reading import Measured

Kept = TypeVar("Kept", Record, Count)
Found = TypeVar("Found", bound="Change")

# Instruction counts repeat to this share.
REPEATS: Final = 0.001
# Records of earlier versions do not have these.
_LATER: Final = ("minutes", "hostname", "kernel")


@dataclass(frozen=True, kw_only=True)
class Change(NamedFile):
    """A model file that both runs have, and whether it is the same one.

    `then` is the verdict on the other run's record.
    """

    runtime: str
    precision: str
    same_file: bool
    then: Verdict
    variant: str = ""


@dataclass(frozen=True, kw_only=True)
class TimeChange(Change):
    """Median of now over the median of then: below 1 is faster."""

    ratio: Estimate

    @property
    def significant(self) -> bool | None:
        """Whether the medians are shown to differ; None where the samples are too few."""
        return significant(self.ratio)


@dataclass(frozen=True, kw_only=True)
class CountChange(Change):
    """Instructions of now over those of then; `classes` has what changed by more than noise.

    That is more than 0.1 % of all instructions; each class has the counts of then and now.
    """

    ratio: float
    classes: dict[str, tuple[int, int]]

    @property
    def significant(self) -> bool:
        """Whether it is more than counts vary by themselves."""
        return abs(self.ratio - 1) > REPEATS


def significant(ratio: Estimate) -> bool | None:
    """Whether a ratio is shown not to be 1; None where the samples are too few to say."""
    return None if ratio.low is None else ratio.excludes(1)


def time_changes(now: Sequence[Record], then: Measured) -> tuple[TimeChange, ...]:
    """A change for every model file that both runs have, of the samples that the tables show.

    The runs' blocks are drawn independently of each other: nothing that slowed one of them down
    cancels. Raises ArtifactError, naming the field, where the conditions differ, and where the runs
    have no file in common.
    """
    if not then.records:
        raise ArtifactError("The other run has instruction counts, this one times: not comparable.")
    changes = []
    for record, other in _pairs(now, then.records):
        before = steady_state(other)
        changes.append(
            TimeChange(
                runtime=record.runtime,
                precision=record.precision,
                variant=record.variant,
                same_file=record.file_sha256 == other.file_sha256,
                then=judge(other, summarize(before)),
                ratio=ratio_of_medians(steady_state(record), before, paired=False),
            )
        )
    return _some(changes)


def count_changes(now: Sequence[Count], then: Measured) -> tuple[CountChange, ...]:
    """A change for every model file that both runs counted; raises as `time_changes` does."""
    if not then.counts:
        raise ArtifactError("The other run has times, this one instruction counts: not comparable.")
    return _some(
        [
            CountChange(
                runtime=count.runtime,
                precision=count.precision,
                variant=count.variant,
                same_file=count.file_sha256 == other.file_sha256,
                then=judge_count(other),
                ratio=count.instructions / other.instructions,
                classes=_classes(count.least, other.least),
            )
            for count, other in _pairs(now, then.counts)
            if count.instructions and other.instructions
        ]
    )


def refuse_incomparable(run: Run, then: Measured) -> None:
    """Before anything is measured: raise ArtifactError where `then` cannot be compared with it."""
    known = _conditions(run)
    found = then.records if run.kind == "times" else then.counts
    if not found:
        kinds = ("times", "instruction counts") if then.counts else ("instruction counts", "times")
        raise ArtifactError(
            f"This run is of {kinds[0]}, the one to compare with of {kinds[1]}: not comparable."
        )
    batches = {file.name: file.batch for file in run.files}
    common = [other for other in found if other.name in batches]
    for other in common:
        ours, theirs = {**known, "batch": batches[other.name]}, _conditions(other)
        _refuse_other_conditions(ours, {name: theirs[name] for name in ours if name in theirs})
    if not common:
        raise ArtifactError(_NOTHING)


_NOTHING: Final = "The two runs have no runtime and precision in common."
_OF_RUN: Final = ("model", "threads", "cores", "mode", "minutes", "runtime_version", "batch")
_OF_DEVICE: Final = ("machine", "cpu", "governor", "python", "hostname", "kernel")


def _conditions(one: Record | Count | Run) -> dict[str, Any]:
    """What must be the same, as far as `one` has it."""
    # An emulated board is the same on every host.
    of_device = _OF_DEVICE[:2] if one.device.emulated else _OF_DEVICE
    return {
        **{name: getattr(one, name) for name in _OF_RUN if hasattr(one, name)},
        **{name: getattr(one.device, name) for name in of_device},
    }


def _refuse_other_conditions(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    for name in now.keys() & then.keys():
        ours, theirs = now[name], then[name]
        if ours != theirs and not (name in _LATER and not (ours and theirs)):
            raise ArtifactError(
                f"The runs cannot be compared: {name} is {quoted(str(ours), 80)} in one run and "
                f"{quoted(str(theirs), 80)} in the other. Measure both alike."
            )


def _pairs(now: Sequence[Kept], then: Sequence[Kept]) -> Iterator[tuple[Kept, Kept]]:
    """Measurements of the same runtime and precision, under the same conditions."""
    for one in now:
        for other in [other for other in then if other.name == one.name][:1]:
            _refuse_other_conditions(_conditions(one), _conditions(other))
            yield one, other


def _some(changes: Sequence[Found]) -> tuple[Found, ...]:
    if not changes:
        raise ArtifactError(_NOTHING)
    return tuple(changes)


def _classes(now: Mapping[str, int], then: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    noise = REPEATS * then["instructions"]
    pairs = {
        name: (then.get(name, 0), now.get(name, 0))
        for name in (*then, *(name for name in now if name not in then))
        if name != "instructions"
    }
    return {name: pair for name, pair in pairs.items() if abs(pair[1] - pair[0]) > noise}
