"""The paper's tables beside what was measured: as tables, plots and plain values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.report.plot import Axis, Bar, Bars, BarSeries
from edgeshuffle.report.table import Column, Interval, ResultTable, Worded
from edgeshuffle.runner.guidelines.paper import GUIDELINES

if TYPE_CHECKING:
    from edgeshuffle.runner.bench.stats import Estimate
    from edgeshuffle.runner.guidelines.results import GuidelinesReport, RowResult, TableResult

_TIME: Final = Column(key="p50_ns", heading="p50", unit="ms", divisor=1e6, spread="interval")
_COUNT: Final = Column(key="instructions", heading="M instructions", divisor=1e6)
_CYCLES: Final = (
    Column(key="cycles", heading="M cycles (est.)", divisor=1e6),
    Column(key="cycles_ratio", heading="ratio", form=".2f"),
)
_PAPER: Final = (
    Column(key="arm_images_per_s", heading="ARM", unit="/s", form=".1f"),
    Column(key="arm_ratio", heading="ARM ratio", form=".2f"),
    Column(key="gpu_batches_per_s", heading="GPU", unit="/s"),
    Column(key="gpu_ratio", heading="GPU ratio", form=".2f"),
)
# All rows have the same work, and what is INVALID is said below.
_UNSEEN: Final = (
    Column(key="macs", heading="MACs", shown=False),
    Column(key="memory_access", heading="memory access", shown=False),
    Column(key="verdict", heading="verdict", shown=False),
)
_WORDS: Final = (
    "holds: every other row is slower than the first one, at least one by more than 5 %",
    "holds weakly: some are slower, and none is faster by more than 5 %",
    "does not hold: one is faster by more than 5 %, or none is slower and none can be by as much",
    "cannot be told: there are too few samples for intervals, or these are too wide",
)
_REMOVES: Final = ("In G4, whose rows leave something out, faster and slower change places.",)
_TIME_RATIOS: Final = (
    "Ratio: over the first row's, above 1 is slower, with its 95 % interval; rows of a table took "
    "turns."
)
_COUNT_RATIOS: Final = (
    "Ratio: instructions over the first row's, with what counts repeat to, 0.1 %; slower means "
    "more of them. Instructions are no times: no caches, no clock."
)
_ESTIMATES: Final = (
    "Cycles are an estimate by LLVM's model of the core, without caches (docs/cycles.md); words go "
    "by instructions.",
)
_SPEEDS: Final = (
    "The paper's: ARM, images a second of a Snapdragon 810 (1 thread); GPU, batches a second of a "
    "GTX 1080Ti; ratios are of times, as ours.",
)


def tables(report: GuidelinesReport) -> tuple[ResultTable, ...]:
    """One for each of the paper's tables, runtime and precision, and what all of them say."""
    return (*(_table(report, one) for one in report.tables), _summary(report))


def plots(report: GuidelinesReport) -> tuple[Bars, ...]:
    """Every table's ratios, with those of the paper, where it has this size."""
    found: dict[tuple[str, str], list[TableResult]] = {}
    for one in report.tables:
        found.setdefault((one.guideline, one.size), []).append(one)
    return tuple(_plot(report, same) for same in found.values())


def data(report: GuidelinesReport) -> dict[str, Any]:
    """Everything, with times in ns."""
    return {
        "device": {**dataclasses.asdict(report.device), "label": report.device.label},
        "kind": "instructions" if report.device.emulated else "times",
        "threads": report.threads,
        "mode": report.mode,
        "seed": report.seed,
        "tables": [_data(report, one) for one in report.tables],
        "notes": list(report.notes),
    }


def _table(report: GuidelinesReport, table: TableResult) -> ResultTable:
    guideline = GUIDELINES[table.guideline]
    emulated = report.device.emulated
    paper: tuple[Column, ...] = _PAPER if table.rows[0].arm is not None else ()
    cycles = _CYCLES if table.rows[0].cycles is not None else ()
    if cycles:
        paper = tuple(dataclasses.replace(one, shown=one.unit is None) for one in paper)
    return ResultTable(
        key=table.key,
        title=f"{table.guideline.upper()} {guideline.title}: {table.model}, {table.size}",
        columns=(
            Column(key="variant", heading=guideline.varied, kind="text"),
            Column(key="channels", heading="channels", kind="text"),
            _COUNT if emulated else _TIME,
            Column(key="ratio", heading="ratio", spread="interval"),
            *cycles,
            *paper,
            *_UNSEEN,
        ),
        rows=tuple(
            (
                row.name,
                ", ".join(map(str, row.channels)),
                row.measured.value if emulated else _interval(row.measured),
                Worded(value=1.0, text="1") if row is table.rows[0] else _interval(row.ratio),
                *((row.cycles, row.cycles_ratio) if cycles else ()),
                *(_paper(row, table.rows[0]) if paper else ()),
                row.macs,
                row.memory_access,
                str(row.verdict),
            )
            for row in table.rows
        ),
        notes=(
            *(f"INVALID {reason}." for reason in table.reasons),
            f"{table.guideline.upper()} {_word(table)} for {table.model}.",
        ),
    )


def _summary(report: GuidelinesReport) -> ResultTable:
    models = tuple(dict.fromkeys(table.model for table in report.tables))
    words: dict[str, dict[str, str]] = {}
    for table in report.tables:
        row = words.setdefault(f"{table.guideline.upper()} {table.size}", {})
        row[table.model] = _word(table)
    device = report.device
    shown = {word.partition(":")[0] for row in words.values() for word in row.values()}
    shown = {word.removesuffix(" (INVALID)") for word in shown}
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    mode = "instructions" if device.emulated else report.mode
    return ResultTable(
        key="words",
        title=f"On {device.cpu} ({device.machine}), {threads}, {mode}: {device.label}",
        columns=(
            Column(key="guideline", heading="guideline", kind="text"),
            *(Column(key=model.replace(" ", "_"), heading=model, kind="text") for model in models),
        ),
        rows=tuple((name, *(row.get(model) for model in models)) for name, row in words.items()),
        notes=(
            *(f"{line}." for line in _WORDS if line.partition(":")[0] in shown),
            *(_REMOVES if any(GUIDELINES[one.guideline].removes for one in report.tables) else ()),
            _COUNT_RATIOS if device.emulated else _TIME_RATIOS,
            *(_ESTIMATES if any(one.rows[0].cycles is not None for one in report.tables) else ()),
            *(_SPEEDS if any(one.rows[0].arm is not None for one in report.tables) else ()),
            *(f"{note}." for note in report.notes),
            f"Raw samples: {', '.join(sorted({str(one.records.parent) for one in report.tables}))}",
        ),
    )


def _word(table: TableResult) -> str:
    return f"{table.word}{' (INVALID)' if table.reasons else ''}"


def _plot(report: GuidelinesReport, same: list[TableResult]) -> Bars:
    first = same[0]
    what = "instructions" if report.device.emulated else "time"
    paper = () if first.rows[0].arm is None else (("paper, ARM", 1), ("paper, GPU", 3))
    return Bars(
        title=f"{first.guideline.upper()}, {GUIDELINES[first.guideline].varied}, {first.size}",
        value=Axis(name=f"{what} over the first row's"),
        groups=tuple(row.name for row in first.rows),
        series=(
            *(
                BarSeries(
                    name=table.model,
                    bars=tuple(
                        Bar(value=row.ratio.value, low=row.ratio.low, high=row.ratio.high)
                        for row in table.rows
                    ),
                )
                for table in same
            ),
            *(
                BarSeries(
                    name=name,
                    bars=tuple(_bar(_paper(row, first.rows[0])[place]) for row in first.rows),
                )
                for name, place in paper
            ),
        ),
    )


def _bar(value: float | None) -> Bar | None:
    return None if value is None else Bar(value=value)


def _paper(row: RowResult, first: RowResult) -> tuple[float | None, ...]:
    """Speeds, and as ratios of times: 1 over 40 images a second is 25 ms."""
    speeds = ((row.arm, first.arm), (row.gpu, first.gpu))
    return tuple(
        value
        for own, other in speeds
        for value in (own, None if own is None or other is None else other / own)
    )


def _data(report: GuidelinesReport, table: TableResult) -> dict[str, Any]:
    measured = "instructions" if report.device.emulated else "p50_ns"
    return {
        "guideline": table.guideline,
        "title": GUIDELINES[table.guideline].title,
        "size": table.size,
        "runtime": table.runtime,
        "runtime_version": table.runtime_version,
        "precision": table.precision,
        "cores": list(table.cores),
        "word": table.word,
        "rows": [
            {
                "variant": row.name,
                "channels": list(row.channels),
                "macs": row.macs,
                "memory_access": row.memory_access,
                measured: dataclasses.asdict(row.measured),
                "ratio": dataclasses.asdict(row.ratio),
                "cycles": row.cycles,
                "cycles_ratio": row.cycles_ratio,
                "arm_images_per_s": row.arm,
                "gpu_batches_per_s": row.gpu,
                "verdict": str(row.verdict),
                "reasons": list(row.verdict.reasons),
            }
            for row in table.rows
        ],
        "records": str(table.records),
    }


def _interval(estimate: Estimate) -> Interval:
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)
