from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgeshuffle.bench import BenchReport, MeasuredCase, Ratio
from edgeshuffle.bench.compare import Change
from edgeshuffle.bench.record import Energy, OperatorTime, Record
from edgeshuffle.bench.stats import Estimate, Statistics
from edgeshuffle.bench.verdict import Verdict
from edgeshuffle.report import REPORTS
from edgeshuffle.report.terminal import number

GOLDEN = Path(__file__).parent.parent / "golden"
RECORD = Record.from_json((GOLDEN / "bench" / "valid.jsonl").read_text().splitlines()[0])


def estimate(value, width=0.0625):
    return Estimate(value=value, low=value * (1 - width), high=value * (1 + width))


def measured(runtime, precision, p50, reasons=(), **changes):
    record = replace(RECORD, runtime=runtime, precision=precision, **changes)
    statistics = Statistics(
        n=128,
        minimum=p50,
        mean=p50,
        maximum=2 * p50,
        cv=0.1,
        p50=estimate(p50),
        p90=estimate(1.125 * p50),
        p99=estimate(1.25 * p50),
    )
    return MeasuredCase(record=record, statistics=statistics, verdict=Verdict(reasons=reasons))


@pytest.fixture
def report():
    return BenchReport(
        model="made_up",
        device=RECORD.device,
        label=RECORD.device.label,
        threads=1,
        cores=(),
        mode="quick",
        seed=7,
        cases=(
            measured("ort", "fp32", 3_200_000),
            measured("ort", "int8", 1_600_000, ("the clock sank; cool it", "p99 is wide; wait")),
            measured("litert", "fp32", 12_345_678_000, peak_rss_bytes=None),
        ),
        ratios=(
            Ratio(runtime="ort", numerator="fp32", denominator="int8", estimate=estimate(2.0)),
        ),
        changes=(),
        records=Path("build/bench/made_up.jsonl"),
        continued=False,
    )


def test_the_table_for_people(report):
    shown = REPORTS["terminal"].render(report)
    assert shown == (GOLDEN / "bench_report.txt").read_text("utf-8")


@pytest.mark.parametrize("columns", ["20", "300"])
def test_the_table_does_not_depend_on_the_terminal(report, columns, monkeypatch):
    expected = REPORTS["terminal"].render(report)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert REPORTS["terminal"].render(report) == expected


def test_no_number_is_cut(report):
    shown = REPORTS["terminal"].render(report)
    assert "…" not in shown
    assert "11574-13117" in shown


def test_a_host_is_called_one(report):
    info = replace(RECORD.device, machine="x86_64", is_arm=False)
    host = replace(report, device=info, label=info.label, threads=4)
    first = REPORTS["terminal"].render(host).splitlines()[0]
    assert first.endswith("4 threads, quick: host, not a device")


def test_the_object_for_programs(report):
    found = json.loads(REPORTS["json"].render(report))
    assert found.keys() == {
        *("schema_version", "model", "device", "threads", "cores", "mode", "seed", "continued"),
        *("results", "ratios", "changes", "records"),
    }
    assert (found["model"], found["threads"], found["mode"], found["seed"]) == (
        *("made_up", 1, "quick", 7),
    )
    assert found["records"] == "build/bench/made_up.jsonl"
    assert found["device"]["label"] == "device"
    assert found["device"]["cpu"] == "Made-up board"
    assert found["ratios"] == [
        {
            "runtime": "ort",
            "numerator": "fp32",
            "denominator": "int8",
            "value": 2.0,
            "low": 1.875,
            "high": 2.125,
        }
    ]
    valid, invalid, no_memory = found["results"]
    assert valid == {
        "runtime": "ort",
        "runtime_version": "1.22.0",
        "precision": "fp32",
        "file": "made_up_fp32.onnx",
        "bytes": 5_000_000,
        "n": 128,
        "p50_ms": {"value": 3.2, "low": 3.0, "high": 3.4},
        "p90_ms": {"value": 3.6, "low": 3.375, "high": 3.825},
        "p99_ms": {"value": 4.0, "low": 3.75, "high": 4.25},
        "first_ms": 7.5,
        "load_ms": 30.0,
        "peak_rss_bytes": 88_000_000,
        "slowdown": None,
        "energy_mj": None,
        "operators": [],
        "verdict": "VALID",
        "reasons": [],
    }
    assert invalid["verdict"] == "INVALID"
    assert invalid["reasons"] == ["the clock sank; cool it", "p99 is wide; wait"]
    assert no_memory["peak_rss_bytes"] is None


def test_what_only_some_runs_have(report):
    (case, *_) = report.cases
    record = replace(
        case.record,
        energy=Energy(idle_mw=2500.0, busy_mw=5000.0, inferences=400, seconds=2.0),
        operators=(
            OperatorTime(name="a", op="Conv", ns=600_000),
            OperatorTime(name="b", op="Conv", ns=300_000),
            OperatorTime(name="c", op="Concat", ns=100_000),
        ),
    )
    change = Change(runtime="ort", precision="fp32", ratio=estimate(0.5), same_file=False)
    shown = REPORTS["terminal"].render(
        replace(
            report,
            cores=(0, 4, 5, 6),
            cases=(replace(case, slowdown=1.25, record=record),),
            changes=(change,),
            continued=True,
        )
    )
    assert "1 thread, cores 0,4-6, quick" in shown
    assert "25.00    2.500" in shown
    assert re.search(r"\bConv +2 +0\.900 +90\.0 %", shown)
    assert Record.from_json(record.to_json()) == record
    assert "ort fp32: its last tenth took 1.250 times as long as its first." in shown
    assert "0.5000 (0.4688-0.5312) times as long as the other run, another file." in shown
    assert "from the run before, which lost the device" in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.14159, "3.142"),
        (2, "2.000"),
        (0.0123456, "0.01235"),
        (999.96, "1000"),
        (123456.7, "123457"),
    ],
)
def test_four_digits_count(value, shown):
    assert number(value) == shown
