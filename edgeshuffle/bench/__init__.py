"""Times an artifact's model files side by side on one device."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgeshuffle.bench.compare import Change, compare
from edgeshuffle.bench.cores import choose_cores
from edgeshuffle.bench.instructions import Count, count
from edgeshuffle.bench.plan import BenchOptions, Mode, plan
from edgeshuffle.bench.record import Record, records_file, write
from edgeshuffle.bench.resume import broken_off, read_records
from edgeshuffle.bench.run import measure
from edgeshuffle.bench.stats import Estimate, Statistics, ratio_of_medians, summarize
from edgeshuffle.bench.verdict import Verdict, judge, settled, slowdown
from edgeshuffle.device import DeviceInfo, open_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "BenchOptions",
    "BenchReport",
    "InstructionReport",
    "MeasuredCase",
    "Ratio",
    "bench",
    "replay",
]


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

    `continued` tells that a part of them is from an earlier run that lost its device.
    """

    model: str
    device: DeviceInfo
    label: str
    threads: int
    cores: tuple[int, ...]
    mode: Mode
    seed: int
    cases: tuple[MeasuredCase, ...]
    ratios: tuple[Ratio, ...]
    changes: tuple[Change, ...]
    records: Path
    continued: bool


@dataclass(frozen=True, kw_only=True)
class InstructionReport:
    """What an emulated device gives instead of times; `records` has every inference's counts."""

    model: str
    device: DeviceInfo
    counts: tuple[Count, ...]
    records: Path

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


def bench(
    options: BenchOptions, progress: Callable[[str, int, int], None] | None = None
) -> BenchReport | InstructionReport:
    """Measure every model file and keep the records beside the artifact's folder.

    A record is kept as soon as its case is finished, so that a failure loses only what is open.
    `progress` is called with a stage, and how much of how much is done.

    An emulated device is not timed: its instructions are counted, if it can count them.

    Raises UnknownNameError (device, runtime), ArtifactError (no file for the runtimes, records
    that cannot be written), MissingExtraError, RuntimeUnavailableError and DeviceError.
    """
    cases = plan(options)
    if options.against is not None:
        # Better told now than after minutes of measuring.
        read_records(options.against)
    report = progress or (lambda *_: None)
    kept: list[Record | Count] = []
    with (
        open_device(options.device, report) as device,
        records_file(options.artifact, datetime.now(UTC)) as new,
    ):
        path = new

        def keep(record: Record | Count) -> None:
            kept.append(record)
            write(path, kept)

        device.steady(options.wait)
        described = device.describe()
        info = device.info()
        if info.emulated:
            counts = []
            for counted in count(options, device, info, cases, report):
                keep(counted)
                counts.append(counted)
            return InstructionReport(
                model=options.artifact.manifest.model,
                device=info,
                counts=tuple(counts),
                records=path,
            )
        cores = choose_cores(options.cores, described.clusters, options.threads)
        found = None if options.fresh else broken_off(options, info, cores)
        earlier: tuple[Record, ...] = ()
        if found is not None:
            path, earlier = found
        records = measure(
            options,
            device,
            info,
            cases,
            keep,
            report,
            cores=cores,
            has_power=described.pmic,
            earlier=earlier,
        )
        # In the order of the cases now, not in that in which they were finished.
        write(path, records)
    return replay(path, options.against, continued=bool(earlier))


def replay(path: Path, against: Path | None = None, *, continued: bool = False) -> BenchReport:
    """The report of kept records, compared with other ones if asked for.

    Raises ArtifactError for a file that has none, and where the two cannot be compared.
    """
    records = read_records(path)
    first = records[0]
    return BenchReport(
        model=first.model,
        device=first.device,
        label=first.device.label,
        threads=first.threads,
        cores=first.cores,
        mode=first.mode,
        seed=first.seed,
        cases=tuple(_measured(record) for record in records),
        ratios=tuple(_ratios(records)),
        changes=compare(records, read_records(against)) if against else (),
        records=path,
        continued=continued,
    )


def _measured(record: Record) -> MeasuredCase:
    blocks = settled(record)
    statistics = summarize(blocks, record.seed)
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
                    settled(floats[record.runtime]), settled(record), record.seed
                ),
            )
