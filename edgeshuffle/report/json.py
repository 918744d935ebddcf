"""A report for programs: one JSON object."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.runner.bench.against import significant

if TYPE_CHECKING:
    from edgeshuffle.runner.bench import BenchReport, InstructionReport, MeasuredCase, TimeReport
    from edgeshuffle.runner.bench.against import Change
    from edgeshuffle.runner.bench.record import Count, Measurement
    from edgeshuffle.runner.bench.stats import Estimate
    from edgeshuffle.runner.bench.verdict import Verdict

# 2: an interval's low and high may be null. Later additions: `cycles` of instructions, or null.
SCHEMA_VERSION: Final = 2


def instructions(report: InstructionReport) -> str:
    """Instructions an inference."""
    return _text(
        report,
        settings={"threads": 1, "mode": "instructions"},
        results=[
            _result(
                case.count,
                case.verdict,
                **case.count.least,
                instructions_per_image=_per_image(case.count),
                spread=case.count.spread,
                cycles=dataclasses.asdict(case.count.cycles) if case.count.cycles else None,
                speedup=case.speedup,
            )
            for case in report.cases
        ],
        changes=[
            _change(
                change,
                value=change.ratio,
                significant=change.significant,
                classes={
                    name: {"then": then, "now": now} for name, (then, now) in change.classes.items()
                },
            )
            for change in report.changes
        ],
    )


def times(report: TimeReport) -> str:
    """Times in milliseconds, sizes in bytes."""
    return _text(
        report,
        settings={
            "threads": report.threads,
            "cores": list(report.cores),
            "mode": report.mode,
            "minutes": report.minutes,
            "continued": report.continued,
            "seed": report.seed,
        },
        results=[_timed(case) for case in report.cases],
        ratios=[
            {
                "runtime": ratio.runtime,
                "numerator": ratio.numerator,
                "denominator": ratio.denominator,
                **dataclasses.asdict(ratio.estimate),
                "significant": significant(ratio.estimate),
            }
            for ratio in report.ratios
        ],
        changes=[
            _change(change, **dataclasses.asdict(change.ratio), significant=change.significant)
            for change in report.changes
        ],
    )


def _text(report: BenchReport, *, settings: dict[str, Any], **tables: list[dict[str, Any]]) -> str:
    shown = {
        "schema_version": SCHEMA_VERSION,
        "model": report.model,
        "device": {**dataclasses.asdict(report.device), "label": report.device.label},
        **settings,
        **tables,
        "notes": list(report.notes),
        "records": str(report.records),
    }
    return json.dumps(shown, indent=2, allow_nan=False)


def _timed(case: MeasuredCase) -> dict[str, Any]:
    record, statistics = case.record, case.statistics
    return _result(
        record,
        case.verdict,
        bytes=record.bytes,
        n=statistics.n,
        p50_ms=_milliseconds(statistics.p50),
        p90_ms=_milliseconds(statistics.p90),
        p99_ms=_milliseconds(statistics.p99),
        p50_ms_per_image=_milliseconds(statistics.p50, record.batch),
        first_ms=record.first_ns / 1e6,
        load_ms=record.load_ns / 1e6,
        peak_rss_bytes=record.peak_rss_bytes,
        slowdown=case.slowdown,
        energy_mj=record.energy.mj if record.energy else None,
        operators=[dataclasses.asdict(entry) for entry in record.operators],
    )


def _result(measured: Measurement, verdict: Verdict, **values: Any) -> dict[str, Any]:
    return {
        "runtime": measured.runtime,
        "runtime_version": measured.runtime_version,
        "precision": measured.precision,
        "file": measured.file,
        "batch": measured.batch,
        **values,
        "verdict": str(verdict),
        "reasons": list(verdict.reasons),
    }


def _change(change: Change, **values: Any) -> dict[str, Any]:
    return {
        "runtime": change.runtime,
        "precision": change.precision,
        "same_file": change.same_file,
        **values,
        "then_verdict": str(change.then),
        "then_reasons": list(change.then.reasons),
    }


def _per_image(count: Count) -> float | None:
    return None if count.instructions is None else count.instructions / count.batch


def _milliseconds(estimate: Estimate, images: int = 1) -> dict[str, float | None]:
    shown = dataclasses.asdict(estimate)
    unit = 1e6 * images
    return {name: None if value is None else value / unit for name, value in shown.items()}
