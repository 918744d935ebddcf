"""A report for people: a table, and why a result is not to be believed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table

from edgeshuffle.report.changes import count_change, time_change
from edgeshuffle.report.numbers import interval, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeshuffle.runner.bench import BenchReport, InstructionReport, MeasuredCase, TimeReport
    from edgeshuffle.runner.bench.record import Measurement
    from edgeshuffle.runner.bench.stats import Estimate

# More than the columns need: on a narrower terminal the lines wrap, but no number is cut.
WIDTH: Final = 200


def instructions(report: InstructionReport) -> str:
    """Plain text without colours, ending in a line break; the table fits into 80 columns."""
    lines = [f"{report.model} on {report.device.cpu}, 1 thread: {report.device.label}"]
    if not report.device.counted:
        lines += [
            f"{case.name}: {case.count.file} ran, {case.count.runtime} {case.count.runtime_version}"
            for case in report.cases
        ]
        lines.append(
            "An emulator's times say nothing, so there are none. Instructions are counted on "
            "emulated boards such as emulated://pi5, outside of a container."
        )
        return "\n".join(lines) + "\n"
    batches = any(case.count.batch > 1 for case in report.cases)
    own = ("M an image",) if batches else ()
    table = _table("M instructions", *own, "M dot", "M widening", "M fmla", "speed-up")
    for case in report.cases:
        least = case.count.least
        table.add_row(
            case.name,
            f"{least['instructions'] / 1e6:.2f}",
            *([f"{least['instructions'] / 1e6 / case.count.batch:.2f}"] if batches else ()),
            *(f"{least[name] / 1e6:.2f}" for name in ("dot", "widening_mac", "fmla")),
            "-" if case.speedup is None else f"{case.speedup:.3f}",
        )
    lines.append(_text(table))
    lines += _cycles(report)
    lines += _batches(case.count for case in report.cases)
    lines += [line for change in report.changes for line in count_change(change)]
    lines += [f"{note}." for note in report.notes]
    lines += _doubts(report)
    lines += [
        "Instructions an inference, those of int8 products (dot, widening) and float ones (fmla).",
        "Speed-up is fp32's instructions over this one's. Instructions are no times: no caches, no "
        "clock.",
        f"Raw counts: {report.records}",
    ]
    return "\n".join(lines) + "\n"


def _cycles(report: InstructionReport) -> list[str]:
    """A table of estimates, if there are any, and what they leave out."""
    found = [case.count.cycles for case in report.cases if case.count.cycles]
    levels = max((len(cycles.misses) for cycles in found), default=0)
    misses = [f"{'k misses ' * (level == 1)}L{level}" for level in range(1, levels + 1)]
    table = _table("M cycles (est.)", "IPC", "modelled", *misses)
    models = set()
    for case in report.cases:
        cycles = case.count.cycles
        if cycles is not None:
            models.add(f"LLVM {cycles.llvm}'s model of {cycles.core}")
            table.add_row(
                case.name,
                f"{cycles.estimate / 1e6:.2f}",
                f"{case.count.least['instructions'] / cycles.estimate:.2f}",
                f"{100 * cycles.modelled:.1f} %",
                *(f"{missed / 1e3:.1f}" for missed in cycles.misses),
            )
    if not models:
        return []
    return [
        _text(table),
        f"Cycles are an estimate by {' and '.join(sorted(models))}: each block of code alone, "
        "repeated,",
        "without caches, mispredicted branches and what overlaps between blocks.",
        "Misses of the data caches are no part of it; they are modelled without prefetching.",
    ]


def times(report: TimeReport) -> str:
    """Plain text without colours, ending in a line break; the tables fit into 80 columns."""
    device = report.device
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    lines = [
        f"{report.model} on {device.cpu} ({device.machine}, {device.cores} cores), {threads}, "
        f"{_cores(report.cores)}{report.mode}: {report.device.label}",
        _text(_latency(report)),
        _text(_cost(report)),
        *(_text(_operators(case)) for case in report.cases if case.record.operators),
    ]
    lines += [
        f"{case.name}: its last tenth took {case.slowdown:.3f} times as long as its first."
        for case in report.cases
        if case.slowdown is not None
    ]
    lines += _batches(case.record for case in report.cases)
    lines += [line for change in report.changes for line in time_change(change)]
    if report.continued:
        lines.append("A part of the samples is from the run before, which was cut off.")
    lines += [f"{note}." for note in report.notes]
    lines += _doubts(report)
    lines.append(
        "Under each value: its 95 % confidence interval, - where there are too few samples for one."
    )
    lines.append("Speed-up of the median over fp32.")
    lines.append(f"Raw samples: {report.records}")
    return "\n".join(lines) + "\n"


def _cores(cores: tuple[int, ...]) -> str:
    """Consecutive ones as a range: `cores 4-7, `."""
    if not cores:
        return ""
    runs = [[cores[0], cores[0]]]
    for core in cores[1:]:
        if core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    shown = ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
    return f"core{'s' if len(cores) > 1 else ''} {shown}, "


def _latency(report: TimeReport) -> Table:
    batches = any(case.record.batch > 1 for case in report.cases)
    own = ("p50 ms an image",) if batches else ()
    table = _table("p50 ms", *own, "p90 ms", "p99 ms", "speed-up")
    table.add_column("verdict", no_wrap=True)
    for case in report.cases:
        statistics = case.statistics
        speedups = [
            ratio.estimate
            for ratio in report.ratios
            if (ratio.runtime, ratio.denominator) == (case.record.runtime, case.record.precision)
        ]
        table.add_row(
            case.name,
            _cell(statistics.p50, 1e6),
            *([_cell(statistics.p50, 1e6 * case.record.batch)] if batches else ()),
            *(_cell(part, 1e6) for part in (statistics.p90, statistics.p99)),
            _cell(speedups[0], 1) if speedups else "-",
            str(case.verdict),
        )
    return table


def _cost(report: TimeReport) -> Table:
    measured = any(case.record.energy for case in report.cases)
    table = _table(
        "first ms", "load ms", "peak MiB", "size MiB", *(("mJ", "idle W") if measured else ())
    )
    for case in report.cases:
        record, energy = case.record, case.record.energy
        shown = (number(energy.mj), number(energy.idle_mw / 1e3)) if energy else ("-", "-")
        table.add_row(
            case.name,
            number(record.first_ns / 1e6),
            number(record.load_ns / 1e6),
            "-" if record.peak_rss_bytes is None else f"{record.peak_rss_bytes / 2**20:.0f}",
            f"{record.bytes / 2**20:.2f}",
            *(shown if measured else ()),
        )
    return table


def _operators(case: MeasuredCase) -> Table:
    """Kinds of operators by their share of the time."""
    kinds: dict[str, list[int]] = {}
    for entry in case.record.operators:
        kinds.setdefault(entry.op, []).append(entry.ns)
    total = sum(map(sum, kinds.values()))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{case.name}: operators", no_wrap=True)
    for name in ("calls", "ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for op, times in sorted(kinds.items(), key=lambda kind: -sum(kind[1])):
        share = f"{100 * sum(times) / total:.1f} %" if total else "-"
        table.add_row(op, str(len(times)), f"{sum(times) / 1e6:.3f}", share)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _batches(measured: Iterable[Measurement]) -> list[str]:
    return [
        f"{one.name}: an inference takes {one.batch} images." for one in measured if one.batch > 1
    ]


def _doubts(report: BenchReport) -> list[str]:
    return [
        f"{case.verdict} {case.name}: {reason}."
        for case in report.cases
        for reason in case.verdict.reasons
    ]


def _cell(estimate: Estimate, unit: float) -> str:
    return f"{number(estimate.value / unit)}\n{interval(estimate, unit)}"


def _text(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None, markup=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))
