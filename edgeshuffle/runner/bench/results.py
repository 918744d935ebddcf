"""What a run's records say: statistics, verdicts, and changes since another run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.errors import ArtifactError, EdgeShuffleError
from edgeshuffle.runner.bench.compare import Change, CountChange, compare, compare_counts
from edgeshuffle.runner.bench.instructions import doubts
from edgeshuffle.runner.bench.reading import Measured, read_measured
from edgeshuffle.runner.bench.stats import Estimate, Statistics, ratio_of_medians, summarize
from edgeshuffle.runner.bench.verdict import Verdict, judge, settled, slowdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.runner.bench.plan import Mode
    from edgeshuffle.runner.bench.record import Count, Record


@dataclass(frozen=True, kw_only=True)
class MeasuredCase:
    """One model file's raw record, its statistics and whether they deserve belief.

    `slowdown` of a sustained run is the median of its last tenth over that of its first.
    """

    record: Record
    statistics: Statistics
    verdict: Verdict
    slowdown: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Median of one precision over that of another, of one runtime: fp32 over int8 is the speed-up
    of int8.
    """

    runtime: str
    numerator: str
    denominator: str
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """All that reports show; `records` is the JSONL file with the raw samples.

    `continued` tells that a part of them is from an earlier run that was cut off; `notes` are
    sentences without their full stop. `problem` is what went wrong although all was measured.
    """

    model: str
    device: DeviceInfo
    label: str
    threads: int
    cores: tuple[int, ...]
    mode: Mode
    minutes: float
    seed: int
    cases: tuple[MeasuredCase, ...]
    ratios: tuple[Ratio, ...]
    changes: tuple[Change, ...]
    records: Path
    continued: bool
    notes: tuple[str, ...] = ()
    problem: EdgeShuffleError | None = None

    @property
    def invalid(self) -> tuple[str, ...]:
        """Names of the cases whose numbers are not to be believed."""
        return tuple(
            f"{case.record.runtime} {case.record.precision}"
            for case in self.cases
            if not case.verdict.valid
        )


@dataclass(frozen=True, kw_only=True)
class InstructionReport:
    """What an emulated device gives instead of times; `records` has every inference's counts."""

    model: str
    device: DeviceInfo
    counts: tuple[Count, ...]
    records: Path
    changes: tuple[CountChange, ...] = ()
    notes: tuple[str, ...] = ()
    problem: EdgeShuffleError | None = None

    @property
    def invalid(self) -> tuple[str, ...]:
        """Names of the files whose counts are not to be believed."""
        return tuple(f"{one.runtime} {one.precision}" for one in self.counts if doubts(one))

    def speedup(self, count: Count) -> float | None:
        """Instructions of the same runtime's float model over this one's."""
        floats = [
            other.instructions
            for other in self.counts
            if (other.runtime, other.precision) == (count.runtime, "fp32")
        ]
        if count.precision == "fp32" or not floats or floats[0] is None or not count.instructions:
            return None
        return floats[0] / count.instructions


def replay(path: Path, against: Path | None = None) -> BenchReport | InstructionReport:
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
) -> BenchReport | InstructionReport:
    """The report of what was measured; its problem is that `then` cannot be compared, if so."""
    said = (*notes, *(f"{name} has no samples: the run was cut off" for name in measured.missing))
    if measured.counts:
        count_changes: tuple[CountChange, ...] = ()
        problem: EdgeShuffleError | None = None
        try:
            count_changes = compare_counts(measured.counts, then) if then else ()
        except ArtifactError as err:
            problem = err
        return InstructionReport(
            model=measured.counts[0].model,
            device=measured.counts[0].device,
            counts=measured.counts,
            records=path,
            changes=count_changes,
            notes=said,
            problem=problem,
        )
    changes: tuple[Change, ...] = ()
    problem = None
    try:
        changes = compare(measured.records, then) if then else ()
    except ArtifactError as err:
        problem = err
    first = measured.records[0]
    return BenchReport(
        model=first.model,
        device=first.device,
        label=first.device.label,
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
        notes=said,
        problem=problem,
    )


def _measured(record: Record) -> MeasuredCase:
    statistics = summarize(settled(record))
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
                estimate=ratio_of_medians(settled(floats[record.runtime]), settled(record)),
            )
