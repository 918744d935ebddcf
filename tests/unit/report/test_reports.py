from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from places import GOLDEN

from edgeshuffle.report import REPORTS
from edgeshuffle.report.numbers import number
from edgeshuffle.runner.bench import MeasuredCase, Ratio, TimeReport
from edgeshuffle.runner.bench.against import TimeChange
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.record import Energy, OperatorTime
from edgeshuffle.runner.bench.stats import Estimate, Statistics
from edgeshuffle.runner.bench.verdict import Verdict

RECORD = read_measured(GOLDEN / "bench" / "valid.jsonl").records[0]


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
        p99=Estimate(value=1.25 * p50, low=None, high=None),
    )
    return MeasuredCase(record=record, statistics=statistics, verdict=Verdict(reasons=reasons))


@pytest.fixture
def report():
    return TimeReport(
        model="made_up",
        device=RECORD.device,
        threads=1,
        cores=(),
        mode="quick",
        minutes=0.0,
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
    shown = report.render(REPORTS["terminal"])
    assert shown == (GOLDEN / "bench_report.txt").read_text("utf-8")


@pytest.mark.parametrize("columns", ["20", "300"])
def test_the_table_does_not_depend_on_the_terminal(report, columns, monkeypatch):
    expected = report.render(REPORTS["terminal"])
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert report.render(REPORTS["terminal"]) == expected


def test_a_batch_is_told_by_inference_and_by_image(report):
    cases = (*report.cases[:1], measured("ort", "int8", 1_600_000, batch=8))
    report = replace(report, cases=cases)
    shown = report.render(REPORTS["terminal"])
    assert "p50 ms an image" in shown
    assert "ort int8: an inference takes 8 images." in shown
    assert "ort fp32: an inference" not in shown
    results = json.loads(report.render(REPORTS["json"]))["results"]
    assert [result["batch"] for result in results] == [1, 8]
    assert results[1]["p50_ms"]["value"] == 1.6
    assert results[1]["p50_ms_per_image"] == {"value": 0.2, "low": 0.1875, "high": 0.2125}


def test_no_number_is_cut(report):
    shown = report.render(REPORTS["terminal"])
    assert "…" not in shown
    assert "11574-13117" in shown


def test_a_host_is_called_one(report):
    info = replace(RECORD.device, machine="x86_64", is_arm=False)
    host = replace(report, device=info, threads=4)
    first = host.render(REPORTS["terminal"]).splitlines()[0]
    assert first.endswith("4 threads, quick: host, not a device")


def test_the_object_for_programs(report):
    found = json.loads(report.render(REPORTS["json"]))
    assert found.keys() == {
        *("schema_version", "model", "device", "threads", "cores", "mode", "minutes", "seed"),
        *("continued", "results", "ratios", "changes", "notes", "records"),
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
            "significant": True,
        }
    ]
    valid, invalid, no_memory = found["results"]
    assert valid == {
        "runtime": "ort",
        "runtime_version": "1.22.0",
        "precision": "fp32",
        "file": "made_up_fp32.onnx",
        "batch": 1,
        "bytes": 5_000_000,
        "n": 128,
        "p50_ms": {"value": 3.2, "low": 3.0, "high": 3.4},
        "p90_ms": {"value": 3.6, "low": 3.375, "high": 3.825},
        "p99_ms": {"value": 4.0, "low": None, "high": None},
        "p50_ms_per_image": {"value": 3.2, "low": 3.0, "high": 3.4},
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
    change = changed(estimate(0.5))
    shown = replace(
        report,
        cores=(0, 4, 5, 6),
        cases=(replace(case, slowdown=1.25, record=record),),
        changes=(change,),
        continued=True,
    ).render(REPORTS["terminal"])
    assert "1 thread, cores 0,4-6, quick" in shown
    assert "25.00    2.500" in shown
    assert re.search(r"\bConv +2 +0\.900 +90\.0 %", shown)
    assert "ort fp32: its last tenth took 1.250 times as long as its first." in shown
    assert (
        "ort fp32: 0.5000 (0.4688-0.5312) times as long as the other run, another file: faster, "
        "by 47 % at least." in shown
    )
    assert "from the run before, which was cut off" in shown


def changed(ratio, *reasons):
    return TimeChange(
        runtime="ort",
        precision="fp32",
        ratio=ratio,
        same_file=False,
        then=Verdict(reasons=reasons),
    )


@pytest.mark.parametrize(
    ("ratio", "significant", "said"),
    [
        ((2, 1.9, 2.1), True, "slower, by 90 % at least"),
        ((3, 2.5, 3.5), True, "slower, by 150 % at least"),
        ((0.9, 0.89, 0.91), True, "faster, by 9 % at least"),
        ((1.02, 0.99, 1.05), False, "no difference shown, it may be from 1 % faster to 5 % slower"),
        ((1.5, None, None), None, "too few samples to tell a difference"),
    ],
)
def test_whether_a_change_is_significant(report, ratio, significant, said):
    value, low, high = ratio
    change = changed(Estimate(value=value, low=low, high=high))
    compared = replace(report, changes=(change,))
    shown = compared.render(REPORTS["terminal"])
    assert f"times as long as the other run, another file: {said}." in shown
    (found,) = json.loads(compared.render(REPORTS["json"]))["changes"]
    assert found["significant"] is significant


def test_an_invalid_other_run_is_called_so(report):
    compared = replace(report, changes=(changed(estimate(1.0), "it drifted; wait"),))
    assert "INVALID other run, ort fp32: it drifted; wait." in compared.render(REPORTS["terminal"])
    (found,) = json.loads(compared.render(REPORTS["json"]))["changes"]
    assert (found["then_verdict"], found["then_reasons"]) == ("INVALID", ["it drifted; wait"])


def test_names_that_look_like_markup_are_shown_as_they_are(report):
    (case, *_) = report.cases
    name = "[/red] [bold]:smile:"
    odd = replace(case.record, runtime=name, operators=(OperatorTime(name=name, op=name, ns=1),))
    device = replace(report.device, cpu=name, machine=name)
    shown = replace(report, model=name, device=device, cases=(replace(case, record=odd),)).render(
        REPORTS["terminal"]
    )
    assert shown.count(name) >= 5


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
