"""`edgeshuffle guidelines` at its small size: here, on an emulated board, and over ssh."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import devices
import pytest
from small_models import run

from edgeshuffle.device.local import LocalDevice
from edgeshuffle.errors import DeviceError, GateError, MissingExtraError, UnknownNameError
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.guidelines.paper import GUIDELINES

SMALL = ("guidelines", "--size", "small", "--allow-invalid")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Records lie under the folder that the command runs in; models so small never settle."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgeshuffle.runner.bench.run.SETTLED_VARIATION", 9)
    return tmp_path


@pytest.mark.slow
def test_all_tables_here(here, capsys):
    arguments = ("--runtime", "litert", "--json", "--csv", "all.csv", "--plot", "all.svg")
    assert run(*SMALL, *arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert (found["schema_version"], found["kind"], found["mode"]) == (1, "times", "quick")
    assert found["device"]["label"]
    keys = [(one["guideline"], one["precision"]) for one in found["tables"]]
    assert keys == [(name, p) for name in GUIDELINES for p in ("fp32", "int8")]
    for one in found["tables"]:
        assert [row["variant"] for row in one["rows"]] == [
            row.name for row in GUIDELINES[one["guideline"]].rows
        ]
        for row in one["rows"]:
            assert row["p50_ns"]["low"] <= row["p50_ns"]["value"] <= row["p50_ns"]["high"]
        assert one["word"] in ("holds", "holds weakly", "does not hold", "cannot be told")
        kept = read_measured(here / one["records"]).records
        assert [record.variant for record in kept] == [row["variant"] for row in one["rows"]]
        assert len({record.file_sha256 for record in kept}) == len(kept)
    with (here / "all.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "g3_small_litert_int8"]
    assert len(rows) == 5
    assert float(rows[1]["ratio_low"]) < float(rows[1]["ratio_high"])
    assert (here / "all.svg").read_bytes().startswith(b"<?xml")
    assert sorted(path.name for path in here.iterdir()) == ["all.csv", "all.svg", "build"]


@pytest.mark.slow
def test_a_table_for_people_and_the_records_again(here, capsys):
    arguments = ("--only", "g4", "--precision", "int8", "--runtime", "ort", "--plot")
    assert run(*SMALL, *arguments) == 0
    out = capsys.readouterr().out
    assert "G4 Element-wise operations are non-negligible: ort int8, small" in out
    assert max(map(len, out.splitlines())) <= 80
    (path,) = (here / "build" / "bench").iterdir()
    assert run("report", path, "--against", path) == 0
    again = capsys.readouterr().out
    assert "ort int8 ReLU, shortcut" in again
    assert "ort int8 neither" in again


@pytest.mark.slow
def test_invalid_ones_end_with_a_gate(monkeypatch, capsys):
    monkeypatch.setattr("edgeshuffle.runner.bench.verdict.SPREAD", 0)
    arguments = ("--only", "g1", "--precision", "fp32", "--runtime", "litert")
    assert run("guidelines", "--size", "small", *arguments) == GateError.exit_code
    out, err = capsys.readouterr()
    assert "INVALID 1:12: p" in out
    assert err.startswith("edgeshuffle: INVALID: g1_small_litert_fp32. Do not quote")


@pytest.mark.device
def test_an_emulated_board_counts_instructions(capsys):
    arguments = ("--only", "g2", "--precision", "int8", "--runtime", "litert", "--json")
    assert run(*SMALL, *arguments, "--cycles", "--device", "emulated://pi5") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "instructions"
    (table,) = found["tables"]
    counted = [row["instructions"]["value"] for row in table["rows"]]
    assert counted[0] > 100_000
    assert [row["ratio"]["value"] for row in table["rows"]] == pytest.approx(
        [count / counted[0] for count in counted]
    )
    assert {row["verdict"] for row in table["rows"]} == {"VALID"}
    cycles = [row["cycles"] for row in table["rows"]]
    assert all(n / 4 < one < n for one, n in zip(cycles, counted, strict=True))
    assert [row["cycles_ratio"] for row in table["rows"]] == [one / cycles[0] for one in cycles]


@pytest.mark.device
def test_a_board_over_ssh_is_timed_and_left_as_it_was(capsys):
    board = devices.stand_in("ssh")
    arguments = ("--only", "g1", "--precision", "fp32", "--runtime", "litert", "--json")
    assert run(*SMALL, *arguments, "--device", board.address) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "times"
    (table,) = found["tables"]
    assert len(table["rows"]) == 4
    assert all(row["p50_ns"]["value"] > 0 for row in table["rows"])
    assert not list(board.base.glob("runs/*"))


def test_what_cannot_be_is_refused_before_anything_is_built(here, monkeypatch, capsys):
    monkeypatch.setattr("edgeshuffle.runner.guidelines.run._build", pytest.fail)
    assert run(*SMALL, "--device", "emulated://pi9") == UnknownNameError.exit_code
    assert run(*SMALL, "--quick", "--full") == 2
    assert run(*SMALL, "--only", "g5") == 2
    assert run(*SMALL, "--cycles") == UnknownNameError.exit_code
    assert list(here.iterdir()) == []
    capsys.readouterr()


def test_a_device_that_can_neither_be_timed_nor_counted(here, monkeypatch, capsys):
    real = LocalDevice.describe
    monkeypatch.setattr(LocalDevice, "describe", lambda self: replace(real(self), emulated=True))
    assert run(*SMALL) == DeviceError.exit_code
    assert "cannot be counted" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_without_the_exports_packages(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for module in ("build", "networks"):
        name = f"edgeshuffle.runner.guidelines.{module}"
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert run(*SMALL) == MissingExtraError.exit_code
    assert "edgeshuffle[export]" in capsys.readouterr().err
