from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from small_models import artifact, run

from edgeshuffle.bench import BenchOptions
from edgeshuffle.bench.compare import compare
from edgeshuffle.bench.record import Record, records_folder
from edgeshuffle.bench.resume import broken_off, read_records
from edgeshuffle.bench.stats import summarize
from edgeshuffle.bench.verdict import judge, settled, slowdown
from edgeshuffle.errors import ArtifactError

GOLDEN = Path(__file__).parent.parent / "golden" / "bench"
RECORD = Record.from_json((GOLDEN / "valid.jsonl").read_text().splitlines()[0])
FILES = (("fp32.onnx", "fp32"),)


def test_a_change_is_the_ratio_of_medians():
    slower = replace(RECORD, blocks=tuple(tuple(2 * x for x in b) for b in RECORD.blocks))
    (change,) = compare([slower], [RECORD])
    assert change.ratio.value == 2
    assert change.ratio.low <= 2 <= change.ratio.high
    assert change.same_file


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"threads": 2}, "threads is 1 in one run and 2"),
        ({"cores": (4,)}, "cores"),
        ({"mode": "full"}, "mode"),
        ({"runtime_version": "9"}, "runtime_version"),
        ({"model": "other"}, "model"),
        ({"device": replace(RECORD.device, governor="powersave")}, "governor"),
        ({"device": replace(RECORD.device, cpu="other")}, "cpu"),
    ],
)
def test_different_conditions_are_refused_by_name(changed, field):
    with pytest.raises(ArtifactError, match=f"cannot be compared: {field}"):
        compare([RECORD], [replace(RECORD, **changed)])


def test_runs_without_a_common_file():
    with pytest.raises(ArtifactError, match="in common"):
        compare([RECORD], [replace(RECORD, precision="int8")])


def test_the_report_command_compares(tmp_path, capsys):
    file = GOLDEN / "valid.jsonl"
    assert run("report", file, "--against", file) == 0
    assert "1.000 (" in capsys.readouterr().out
    assert run("report", tmp_path / "none.jsonl") == ArtifactError.exit_code
    assert "There is no file" in capsys.readouterr().err
    (tmp_path / "text.jsonl").write_text("hello\n")
    assert run("report", tmp_path / "text.jsonl") == ArtifactError.exit_code
    assert "holds no records" in capsys.readouterr().err


@pytest.fixture
def small(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "fp32.onnx").write_bytes(b"x")
    return artifact(tmp_path / "a", FILES, num_classes=2, size=4)


def left_over(small, **changes):
    folder = records_folder(small)
    folder.mkdir(exist_ok=True)
    record = replace(
        RECORD, manifest_sha256=small.manifest_sha256, seed=0, finished=False, **changes
    )
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    path.write_text(record.to_json() + "\n")
    os.utime(path, ns=(10**9 * len(list(folder.iterdir())),) * 2)
    return path


def test_a_run_that_broke_off_is_found(small):
    path = left_over(small)
    found = broken_off(BenchOptions(artifact=small), RECORD.device, ())
    assert found == (path, read_records(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 2},
        {"mode": "full"},
        {"cores": (1,)},
        {"device": replace(RECORD.device, cpu="other")},
    ],
)
def test_a_run_of_something_else_is_not_continued(small, changes):
    left_over(small, **changes)
    assert broken_off(BenchOptions(artifact=small), RECORD.device, ()) is None


def test_only_the_newest_run_counts(small):
    left_over(small)
    newest = left_over(small)
    newest.write_text((GOLDEN / "valid.jsonl").read_text())
    os.utime(newest, ns=(10**12,) * 2)
    assert broken_off(BenchOptions(artifact=small), RECORD.device, ()) is None


def test_a_sustained_run_is_judged_by_its_second_half():
    blocks = ((100,) * 32,) * 10 + ((200,) * 32,) * 10
    record = replace(RECORD, mode="sustained", blocks=blocks, threads=1)
    assert settled(record) == ((200,) * 32,) * 10
    assert slowdown(blocks) == 2
    assert settled(replace(record, mode="full")) == blocks
    hot = replace(
        record,
        during=(replace(RECORD.before, throttled=0x4, clock_khz=1),),
        before=replace(RECORD.before, throttled=0, clock_khz=2),
    )
    assert judge(hot, summarize(settled(hot), 0)).valid
