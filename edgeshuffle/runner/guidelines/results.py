"""A table as it was measured: each row's ratio to the first one, and whether the guideline holds.

Words go by 95 % intervals. A row agrees where its whole interval is on the side of 1 that the
guideline says, and contradicts it where the whole interval is more than `MARGIN` beyond 1 on the
other side. Where rows do neither, they are shown to be alike only by intervals that end within
`MARGIN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from edgeshuffle.runner.bench.against import REPEATS
from edgeshuffle.runner.bench.record import Count, Record
from edgeshuffle.runner.bench.stats import Estimate, ratio_of_medians, summarize
from edgeshuffle.runner.bench.verdict import Verdict, judge, judge_count, steady_state
from edgeshuffle.runner.guidelines.paper import GUIDELINES, SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.errors import EdgeShuffleError
    from edgeshuffle.runner.bench.plan import Mode
    from edgeshuffle.runner.bench.reading import Measured
    from edgeshuffle.runner.guidelines.paper import GuidelineName, SizeName

Word = Literal["holds", "holds weakly", "does not hold", "cannot be told"]
Kept = TypeVar("Kept", Record, Count)

# What two runs of the same may differ by (MLPerf Mobile's tolerance, and `verdict.DRIFT`).
MARGIN: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """A variant's median time in ns or its instructions, and that over the first row's.

    `cycles` are estimated, where these were asked for, and `cycles_ratio` is over the first row's.
    `arm` and `gpu` are the paper's speeds, None at a size that it has not.
    """

    name: str
    channels: tuple[int, ...]
    macs: int
    memory_access: int
    measured: Estimate
    ratio: Estimate
    verdict: Verdict
    cycles: int | None
    cycles_ratio: float | None
    arm: float | None
    gpu: int | None


@dataclass(frozen=True, kw_only=True)
class TableResult:
    """One of the paper's tables in one runtime and precision; `records` is what was kept."""

    guideline: GuidelineName
    size: SizeName
    runtime: str
    runtime_version: str
    precision: str
    cores: tuple[int, ...]
    rows: tuple[RowResult, ...]
    records: Path

    @property
    def key(self) -> str:
        """For programs: `g1_x1_ort_int8`."""
        return f"{self.guideline}_{self.size}_{self.runtime}_{self.precision}"

    @property
    def model(self) -> str:
        """As people read it: `ort int8`."""
        return f"{self.runtime} {self.precision}"

    @property
    def word(self) -> Word:
        """Whether the guideline holds."""
        ratios = [row.ratio for row in self.rows[1:]]
        removes = GUIDELINES[self.guideline].removes
        return word_of([_inverse(one) if removes else one for one in ratios])

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why its numbers are not to be believed."""
        return tuple(f"{row.name}: {reason}" for row in self.rows for reason in row.verdict.reasons)


@dataclass(frozen=True, kw_only=True)
class GuidelinesReport:
    """All tables of a device; `notes` are sentences without their full stop, and `problem` is what
    went wrong although all was measured.
    """

    device: DeviceInfo
    threads: int
    mode: Mode
    seed: int
    tables: tuple[TableResult, ...]
    notes: tuple[str, ...] = ()
    problem: EdgeShuffleError | None = None

    @property
    def invalid(self) -> tuple[str, ...]:
        """The tables with numbers that are not to be believed."""
        return tuple(table.key for table in self.tables if table.reasons)


def word_of(ratios: Sequence[Estimate]) -> Word:
    """What intervals say, where above 1 is what the guideline says."""
    low = [one.low for one in ratios if one.low is not None]
    high = [one.high for one in ratios if one.high is not None]
    if len(low) < len(ratios) or len(high) < len(ratios):
        return "cannot be told"
    if min(low) > 1 and max(low) > 1 + MARGIN:
        return "holds"
    if max(low) > 1 and min(high) >= 1 / (1 + MARGIN):
        return "holds weakly"
    if min(high) < 1 / (1 + MARGIN) or max(high) <= 1 + MARGIN:
        return "does not hold"
    # Nothing was seen, but much may be hidden in the noise.
    return "cannot be told"


def table_of(
    guideline: GuidelineName, size: SizeName, measured: Measured, path: Path
) -> TableResult:
    """The table that records or counts of all its rows make, in their order."""
    rows = (
        _rows(guideline, size, measured.counts, _counted, _ratio_of_counts)
        if measured.counts
        else _rows(guideline, size, measured.records, _timed, _ratio_of_times)
    )
    first = (*measured.counts, *measured.records)[0]
    return TableResult(
        guideline=guideline,
        size=size,
        runtime=first.runtime,
        runtime_version=first.runtime_version,
        precision=first.precision,
        cores=first.cores if isinstance(first, Record) else (),
        rows=rows,
        records=path,
    )


def _rows(
    name: GuidelineName,
    size: SizeName,
    kept: Sequence[Kept],
    figure: Callable[[Kept], tuple[Estimate, Verdict]],
    ratio: Callable[[Kept, Kept], Estimate],
) -> tuple[RowResult, ...]:
    guideline, column = GUIDELINES[name], SIZES[size].column
    cycles = [_cycles(one) for one in kept]
    made = []
    for row, one, own in zip(guideline.rows, kept, cycles, strict=True):
        network = guideline.network(row, size)
        measured, verdict = figure(one)
        made.append(
            RowResult(
                name=row.name,
                channels=network.channels,
                macs=network.macs,
                memory_access=network.memory_access,
                measured=measured,
                ratio=_ONE if one is kept[0] else ratio(one, kept[0]),
                verdict=verdict,
                cycles=own,
                cycles_ratio=own / cycles[0] if own and cycles[0] else None,
                arm=None if column is None else row.arm[column],
                gpu=None if column is None else row.gpu[column],
            )
        )
    return tuple(made)


_ONE: Final = Estimate(value=1.0, low=1.0, high=1.0)


def _timed(record: Record) -> tuple[Estimate, Verdict]:
    statistics = summarize(steady_state(record))
    return statistics.p50, judge(record, statistics)


def _ratio_of_times(row: Record, first: Record) -> Estimate:
    return ratio_of_medians(steady_state(row), steady_state(first))


def _counted(count: Count) -> tuple[Estimate, Verdict]:
    return _within_repeats(float(count.instructions or 0)), judge_count(count)


def _cycles(kept: Record | Count) -> int | None:
    return kept.cycles.estimate if isinstance(kept, Count) and kept.cycles else None


def _ratio_of_counts(row: Count, first: Count) -> Estimate:
    assert row.instructions is not None
    assert first.instructions
    return _within_repeats(row.instructions / first.instructions)


def _within_repeats(value: float) -> Estimate:
    """Counts are no samples, but repeat to a share."""
    return Estimate(value=value, low=value * (1 - REPEATS), high=value * (1 + REPEATS))


def _inverse(ratio: Estimate) -> Estimate:
    return Estimate(
        value=1 / ratio.value,
        low=None if ratio.high is None else 1 / ratio.high,
        high=None if ratio.low is None else 1 / ratio.low,
    )
