"""The tables of the guidelines: what they show beside each other, and that nothing is cut."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from places import GOLDEN

from edgeshuffle.report import guidelines as shown
from edgeshuffle.report.plot import text as plot_text
from edgeshuffle.report.table import text as table_text
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.stats import Estimate
from edgeshuffle.runner.bench.verdict import Verdict
from edgeshuffle.runner.guidelines.paper import GUIDELINES, SIZES
from edgeshuffle.runner.guidelines.results import GuidelinesReport, RowResult, TableResult

DEVICE = read_measured(GOLDEN / "bench" / "valid.jsonl").records[0].device


def estimate(value, width=0.0123):
    return Estimate(value=value, low=value * (1 - width), high=value * (1 + width))


def table(name, size, runtime, precision, first, reasons=()):
    guideline, column = GUIDELINES[name], SIZES[size].column
    rows = []
    for index, row in enumerate(guideline.rows):
        network = guideline.network(row, size)
        ratio = (0.9 if guideline.removes else 1.2345) ** index
        rows.append(
            RowResult(
                name=row.name,
                channels=network.channels,
                macs=network.macs,
                memory_access=network.memory_access,
                measured=estimate(first * ratio),
                ratio=estimate(ratio),
                cycles=None,
                cycles_ratio=None,
                verdict=Verdict(reasons=reasons if index == 1 else ()),
                arm=None if column is None else row.arm[column],
                gpu=None if column is None else row.gpu[column],
            )
        )
    return TableResult(
        guideline=name,
        size=size,
        runtime=runtime,
        runtime_version="1.2",
        precision=precision,
        cores=(),
        rows=tuple(rows),
        records=Path("build/bench/one.jsonl"),
    )


def made(*tables, device=DEVICE):
    return GuidelinesReport(device=device, threads=1, mode="quick", seed=0, tables=tables)


@pytest.fixture
def report():
    models = [(r, p) for r in ("ort", "litert") for p in ("fp32", "int8")]
    return made(*(table(g, s, *m, 123_456_789) for g in GUIDELINES for s in SIZES for m in models))


def test_tables_fit_80_columns_in_one_piece(report):
    for one in shown.tables(report):
        lines = table_text.text(one).splitlines()
        assert max(map(len, lines)) <= 80
        assert sum("──" in line for line in lines) == 1


def test_plots_fit_and_have_the_papers_bars(report):
    plots = shown.plots(report)
    assert len(plots) == len(GUIDELINES) * len(SIZES)
    for one in plots:
        assert max(map(len, plot_text.text(one).splitlines())) <= 80
    first = plots[0]
    assert [series.name for series in first.series][-2:] == ["paper, ARM", "paper, GPU"]
    # 76.2 images a second are 57.6 by 1:12.
    assert first.series[-2].bars[-1].value == pytest.approx(76.2 / 57.6)
    assert len(plots[-1].series) == 4


def test_a_row_stands_beside_the_papers_figures():
    *_, last = shown.tables(made(table("g1", "x1", "ort", "fp32", 2e6)))[0].records()
    assert last["p50_ns"] == pytest.approx(2e6 * 1.2345**3)
    assert last["ratio_low"] < last["ratio"] == 1.2345**3 < last["ratio_high"]
    assert (last["arm_images_per_s"], last["gpu_batches_per_s"]) == (57.6, 748)
    assert last["arm_ratio"] == pytest.approx(76.2 / 57.6)
    assert last["gpu_ratio"] == pytest.approx(1480 / 748)
    # Ten blocks of 9 to 114 channels and back, at 56x56 pixels.
    assert last["macs"] == 10 * 56**2 * 2 * 9 * 114
    assert last["memory_access"] == 10 * 2 * (56**2 * (9 + 114) + 9 * 114)


def test_every_table_says_whether_its_guideline_holds():
    *tables, summary = shown.tables(
        made(
            table("g1", "x1", "ort", "fp32", 2e6),
            table("g4", "x1", "ort", "fp32", 2e6, reasons=("it was hot; cool it",)),
        )
    )
    assert tables[0].notes == ("G1 holds for ort fp32.",)
    assert tables[1].notes == (
        "INVALID ReLU: it was hot; cool it.",
        "G4 holds (INVALID) for ort fp32.",
    )
    verdicts = [row["verdict"] for row in tables[1].records()]
    assert verdicts == ["VALID", "INVALID", "VALID", "VALID"]
    assert [row["ort_fp32"] for row in summary.records()] == ["holds", "holds (INVALID)"]
    assert "valid.example" in summary.title or DEVICE.cpu in summary.title


def test_an_emulated_board_shows_instructions_and_says_so():
    emulated = replace(DEVICE, emulated=True, counted=True)
    report = made(table("g1", "x1", "ort", "fp32", 75_000_000), device=emulated)
    first, summary = shown.tables(report)
    text = table_text.text(first)
    assert "M instructions" in text
    assert "75.00" in text
    assert " ms" not in text
    assert "instructions" in summary.title
    assert any("Instructions are no times" in note for note in summary.notes)
    (one,) = shown.data(report)["tables"]
    assert one["rows"][0]["instructions"]["value"] == 75_000_000
    assert "p50_ns" not in one["rows"][0]


def test_json_has_all_that_was_measured(report):
    found = json.loads(json.dumps(shown.data(report), allow_nan=False))
    assert len(found["tables"]) == len(report.tables)
    one = found["tables"][0]
    assert (one["guideline"], one["size"], one["word"]) == ("g1", "x1", "holds")
    assert one["rows"][1]["memory_access"] > one["rows"][0]["memory_access"]
    assert one["rows"][1]["channels"] == [22, 47]
