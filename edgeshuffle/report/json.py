"""A report for programs: one JSON object."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.runner.bench import InstructionReport
from edgeshuffle.runner.bench.compare import significant
from edgeshuffle.runner.bench.instructions import doubts
from edgeshuffle.runner.bench.verdict import Verdict

if TYPE_CHECKING:
    from edgeshuffle.runner.bench import BenchReport, MeasuredCase
    from edgeshuffle.runner.bench.stats import Estimate

# 2: an interval's low and high may be null.
SCHEMA_VERSION: Final = 2


def render(report: BenchReport | InstructionReport) -> str:
    """Times in milliseconds, sizes in bytes, instructions an inference."""
    plain = _counts(report) if isinstance(report, InstructionReport) else _times(report)
    return json.dumps({"schema_version": SCHEMA_VERSION, **plain}, indent=2, allow_nan=False)


def _counts(report: InstructionReport) -> dict[str, Any]:
    return {
        "model": report.model,
        "device": {**dataclasses.asdict(report.device), "label": report.device.label},
        "threads": 1,
        "mode": "instructions",
        "results": [
            {
                "runtime": count.runtime,
                "runtime_version": count.runtime_version,
                "precision": count.precision,
                "file": count.file,
                **count.least,
                "spread": count.spread,
                "speedup": report.speedup(count),
                "verdict": str(Verdict(reasons=doubts(count))),
                "reasons": list(doubts(count)),
            }
            for count in report.counts
        ],
        "changes": [
            {
                "runtime": change.runtime,
                "precision": change.precision,
                "same_file": change.same_file,
                "value": change.ratio,
                "significant": change.significant,
                "classes": {
                    name: {"then": then, "now": now} for name, (then, now) in change.classes.items()
                },
                "then_verdict": str(change.then),
                "then_reasons": list(change.then.reasons),
            }
            for change in report.changes
        ],
        "notes": list(report.notes),
        "records": str(report.records),
    }


def _times(report: BenchReport) -> dict[str, Any]:
    return {
        "model": report.model,
        "device": {**dataclasses.asdict(report.device), "label": report.label},
        "threads": report.threads,
        "cores": list(report.cores),
        "mode": report.mode,
        "minutes": report.minutes,
        "continued": report.continued,
        "seed": report.seed,
        "results": [_result(case) for case in report.cases],
        "ratios": [
            {
                "runtime": ratio.runtime,
                "numerator": ratio.numerator,
                "denominator": ratio.denominator,
                **dataclasses.asdict(ratio.estimate),
                "significant": significant(ratio.estimate),
            }
            for ratio in report.ratios
        ],
        "changes": [
            {
                "runtime": change.runtime,
                "precision": change.precision,
                "same_file": change.same_file,
                **dataclasses.asdict(change.ratio),
                "significant": change.significant,
                "then_verdict": str(change.then),
                "then_reasons": list(change.then.reasons),
            }
            for change in report.changes
        ],
        "notes": list(report.notes),
        "records": str(report.records),
    }


def _result(case: MeasuredCase) -> dict[str, Any]:
    record, statistics = case.record, case.statistics
    return {
        "runtime": record.runtime,
        "runtime_version": record.runtime_version,
        "precision": record.precision,
        "file": record.file,
        "bytes": record.bytes,
        "n": statistics.n,
        "p50_ms": _milliseconds(statistics.p50),
        "p90_ms": _milliseconds(statistics.p90),
        "p99_ms": _milliseconds(statistics.p99),
        "first_ms": record.first_ns / 1e6,
        "load_ms": record.load_ns / 1e6,
        "peak_rss_bytes": record.peak_rss_bytes,
        "slowdown": case.slowdown,
        "energy_mj": record.energy.mj if record.energy else None,
        "operators": [dataclasses.asdict(entry) for entry in record.operators],
        "verdict": str(case.verdict),
        "reasons": list(case.verdict.reasons),
    }


def _milliseconds(estimate: Estimate) -> dict[str, float | None]:
    shown = dataclasses.asdict(estimate)
    return {name: None if value is None else value / 1e6 for name, value in shown.items()}
