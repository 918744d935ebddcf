"""What a run's records say: statistics, verdicts, and changes since another run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from edgeshuffle.errors import ArtifactError, EdgeShuffleError
from edgeshuffle.runner.bench.against import (
    CountChange,
    TimeChange,
    count_changes,
    time_changes,
)
from edgeshuffle.runner.bench.reading import Measured, read_measured
from edgeshuffle.runner.bench.stats import Estimate, Statistics, ratio_of_medians, summarize
from edgeshuffle.runner.bench.verdict import (
    Verdict,
    judge,
    judge_count,
    slowdown,
    steady_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.runner.bench.plan import Mode
    from edgeshuffle.runner.bench.record import Count, Record

Kept = TypeVar("Kept")
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class MeasuredCase:
    """One model file's raw record, its statistics and whether they deserve belief.

    `slowdown` of a sustained run is the median of its last tenth over that of its first.
    """

    record: Record
    statistics: Statistics
    verdict: Verdict
    slowdown: float | None = None

    @property
    def name(self) -> str:
        """As people read it: `ort int8`."""
        return self.record.name


@dataclass(frozen=True, kw_only=True)
class CountedCase:
    """One model file's instructions and whether they deserve belief.

    `speedup` is the instructions of the same runtime's float model over this one's.
    """

    count: Count
    verdict: Verdict
    speedup: float | None

    @property
    def name(self) -> str:
        """As people read it: `ort int8`."""
        return self.count.name


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Median of one precision over that of another, of one runtime: fp32 over int8 is the speed-up
    of int8.
    """

    runtime: str
    numerator: str
    denominator: str
    estimate: Estimate


class Format(Protocol):
    """A way to show results: a function for each kind of them."""

    def times(self, report: TimeReport) -> str: ...

    def instructions(self, report: InstructionReport) -> str: ...


@dataclass(frozen=True, kw_only=True)
class BenchReport(ABC):
    """What all reports show; `records` is the JSONL file with what was measured.

    `notes` are sentences without their full stop. `problem` is what went wrong although all was
    measured.
    """

    model: str
    device: DeviceInfo
    cases: tuple[MeasuredCase | CountedCase, ...]
    records: Path
    notes: tuple[str, ...] = ()
    problem: EdgeShuffleError | None = None

    @property
    def invalid(self) -> tuple[str, ...]:
        """Names of the cases whose numbers are not to be believed."""
        return tuple(case.name for case in self.cases if not case.verdict.valid)

    @abstractmethod
    def render(self, format: Format) -> str:  # noqa: A002 - what everybody calls it
        """The report in a format, such as `edgeshuffle.report.REPORTS["json"]`."""


@dataclass(frozen=True, kw_only=True)
class TimeReport(BenchReport):
    """Inference times; `continued` tells that a part of the samples is from an earlier run that was
    cut off.
    """

    cases: tuple[MeasuredCase, ...]
    threads: int
    cores: tuple[int, ...]
    mode: Mode
    minutes: float
    seed: int
    ratios: tuple[Ratio, ...]
    changes: tuple[TimeChange, ...]
    continued: bool

    def render(self, format: Format) -> str:  # noqa: A002
        """As times."""
        return format.times(self)


@dataclass(frozen=True, kw_only=True)
class InstructionReport(BenchReport):
    """What an emulated device gives instead of times."""

    cases: tuple[CountedCase, ...]
    changes: tuple[CountChange, ...] = ()

    def render(self, format: Format) -> str:  # noqa: A002
        """As instructions."""
        return format.instructions(self)


def replay(path: Path, against: Path | None = None) -> BenchReport:
    """The report of kept records, compared with other ones if asked for.

    Raises ArtifactError for a file that has none, and where the two cannot be compared.
    """
    then = None if against is None else read_measured(against)
    report = report_of(read_measured(path), path, then)
    if report.problem is not None:
        raise report.problem
    return report


def report_of(
    measured: Measured, path: Path, then: Measured | None, notes: Sequence[str] = ()
) -> BenchReport:
    """The report of what was measured; its problem is that `then` cannot be compared, if so."""
    said = (*notes, *(f"{name} has no samples: the run was cut off" for name in measured.missing))
    make = _instructions if measured.counts else _times
    return make(measured, path, then, said)


def _instructions(
    measured: Measured, path: Path, then: Measured | None, notes: tuple[str, ...]
) -> BenchReport:
    changes, problem = _compared(count_changes, measured.counts, then)
    return InstructionReport(
        model=measured.counts[0].model,
        device=measured.counts[0].device,
        cases=tuple(_counted(measured.counts)),
        changes=changes,
        records=path,
        notes=notes,
        problem=problem,
    )


def _times(
    measured: Measured, path: Path, then: Measured | None, notes: tuple[str, ...]
) -> BenchReport:
    changes, problem = _compared(time_changes, measured.records, then)
    first = measured.records[0]
    return TimeReport(
        model=first.model,
        device=first.device,
        threads=first.threads,
        cores=first.cores,
        mode=first.mode,
        minutes=first.minutes,
        seed=first.seed,
        cases=tuple(_measured(record) for record in measured.records),
        ratios=tuple(_ratios(measured.records)),
        changes=changes,
        records=path,
        continued=measured.continued,
        notes=notes,
        problem=problem,
    )


def _compared(
    changes: Callable[[tuple[Kept, ...], Measured], tuple[Found, ...]],
    now: tuple[Kept, ...],
    then: Measured | None,
) -> tuple[tuple[Found, ...], EdgeShuffleError | None]:
    """Changes since the other run, if there is one, or why there are none."""
    try:
        return () if then is None else changes(now, then), None
    except ArtifactError as err:
        return (), err


def _counted(counts: Sequence[Count]) -> Iterator[CountedCase]:
    floats = {count.runtime: count.instructions for count in counts if count.precision == "fp32"}
    for count in counts:
        of_float = None if count.precision == "fp32" else floats.get(count.runtime)
        yield CountedCase(
            count=count,
            verdict=judge_count(count),
            speedup=of_float / count.instructions if of_float and count.instructions else None,
        )


def _measured(record: Record) -> MeasuredCase:
    statistics = summarize(steady_state(record))
    return MeasuredCase(
        record=record,
        statistics=statistics,
        verdict=judge(record, statistics),
        slowdown=slowdown(record.blocks) if record.mode == "sustained" else None,
    )


def _ratios(records: Sequence[Record]) -> Iterator[Ratio]:
    floats = {record.runtime: record for record in records if record.precision == "fp32"}
    for record in records:
        if record.precision != "fp32" and record.runtime in floats:
            yield Ratio(
                runtime=record.runtime,
                numerator="fp32",
                denominator=record.precision,
                estimate=ratio_of_medians(
                    steady_state(floats[record.runtime]), steady_state(record)
                ),
            )
