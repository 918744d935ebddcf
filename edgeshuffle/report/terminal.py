"""A report for people: a table, and why a result is not to be believed."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from edgeshuffle.bench import BenchReport, MeasuredCase
    from edgeshuffle.bench.stats import Estimate

# Narrower, the columns would break in the middle of numbers.
MIN_WIDTH: Final = 108


def render(report: BenchReport) -> str:
    """Plain text without colours, ending in a line break."""
    device = report.device
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    lines = [
        f"{report.model} on {device.cpu} ({device.machine}, {device.cores} cores), {threads}, "
        f"{report.mode}: {report.label}"
    ]
    lines.append(_text(_table(report)))
    for case in report.cases:
        name = f"{case.record.runtime}/{case.record.precision}"
        lines += [f"{case.verdict} {name}: {reason}." for reason in case.verdict.reasons]
    lines.append("In [ ]: 95 % confidence interval. speed-up: of the median, over fp32.")
    lines.append(f"Raw samples: {report.records}")
    return "\n".join(lines) + "\n"


def _table(report: BenchReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("runtime", no_wrap=True)
    table.add_column("precision", no_wrap=True)
    for name in ("p50\nms", "p90\nms", "p99\nms", "speed-up"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("first\nms", "load\nms", "peak\nMiB", "size\nMiB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for case in report.cases:
        table.add_row(*_row(report, case))
    return table


def _row(report: BenchReport, case: MeasuredCase) -> list[str]:
    record, statistics = case.record, case.statistics
    speedups = [
        ratio.estimate
        for ratio in report.ratios
        if (ratio.runtime, ratio.denominator) == (record.runtime, record.precision)
    ]
    return [
        record.runtime,
        record.precision,
        *(_cell(part, 1e6) for part in (statistics.p50, statistics.p90, statistics.p99)),
        _cell(speedups[0], 1) if speedups else "-",
        number(record.first_ns / 1e6),
        number(record.load_ns / 1e6),
        "-" if record.peak_rss_bytes is None else f"{record.peak_rss_bytes / 2**20:.0f}",
        f"{record.bytes / 2**20:.2f}",
        str(case.verdict),
    ]


def _cell(estimate: Estimate, unit: float) -> str:
    value, low, high = (
        number(part / unit) for part in (estimate.value, estimate.low, estimate.high)
    )
    # The backslash keeps rich from reading the interval as a style.
    return f"{value}\n\\[{low}, {high}]"


def number(value: float) -> str:
    """Four digits that count, and never an exponent for large values."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _text(table: Table) -> str:
    width = max(MIN_WIDTH, shutil.get_terminal_size((MIN_WIDTH, 24)).columns)
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))
