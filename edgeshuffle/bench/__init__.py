"""Times an artifact's model files side by side on one device."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgeshuffle.bench.instructions import Count, count
from edgeshuffle.bench.plan import BenchOptions, Mode, plan
from edgeshuffle.bench.record import Record, records_file, write
from edgeshuffle.bench.run import measure
from edgeshuffle.bench.stats import Estimate, Statistics, ratio_of_medians, summarize
from edgeshuffle.bench.verdict import Verdict, judge
from edgeshuffle.device import DeviceInfo, open_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["BenchOptions", "BenchReport", "InstructionReport", "MeasuredCase", "Ratio", "bench"]


@dataclass(frozen=True, kw_only=True)
class MeasuredCase:
    """One model file's raw record, its statistics and whether they deserve belief."""

    record: Record
    statistics: Statistics
    verdict: Verdict


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
    """All that reports show; `records` is the JSONL file with the raw samples."""

    model: str
    device: DeviceInfo
    label: str
    threads: int
    mode: Mode
    seed: int
    cases: tuple[MeasuredCase, ...]
    ratios: tuple[Ratio, ...]
    records: Path


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
        return None if count.precision == "fp32" or not floats else floats[0] / count.instructions


def bench(
    options: BenchOptions, progress: Callable[[str, int, int], None] | None = None
) -> BenchReport | InstructionReport:
    """Measure every model file and keep the records beside the artifact's folder.

    A record is kept as soon as its case is finished, so that a failure loses only what is open.
    `progress` is called with a stage, and how much of how much is done.

    An emulated device is not timed: its instructions are counted.

    Raises UnknownNameError (device, runtime), ArtifactError (no file for the runtimes, records
    that cannot be written), MissingExtraError, RuntimeUnavailableError and DeviceError.
    """
    cases = plan(options)
    report = progress or (lambda *_: None)
    kept: list[Record | Count] = []
    with (
        open_device(options.device, report) as device,
        records_file(options.artifact, datetime.now(UTC)) as path,
    ):

        def keep(record: Record | Count) -> None:
            kept.append(record)
            write(path, kept)

        device.steady()
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
        records = measure(options, device, info, cases, keep, report)
    return BenchReport(
        model=options.artifact.manifest.model,
        device=info,
        label=info.label,
        threads=options.threads,
        mode=options.mode,
        seed=options.seed,
        cases=tuple(_measured(record) for record in records),
        ratios=tuple(_ratios(records)),
        records=path,
    )


def _measured(record: Record) -> MeasuredCase:
    statistics = summarize(record.blocks, record.seed)
    return MeasuredCase(record=record, statistics=statistics, verdict=judge(record, statistics))


def _ratios(records: Sequence[Record]) -> Iterator[Ratio]:
    floats = {record.runtime: record for record in records if record.precision == "fp32"}
    for record in records:
        if record.precision != "fp32" and record.runtime in floats:
            yield Ratio(
                runtime=record.runtime,
                numerator="fp32",
                denominator=record.precision,
                estimate=ratio_of_medians(
                    floats[record.runtime].blocks, record.blocks, record.seed
                ),
            )
