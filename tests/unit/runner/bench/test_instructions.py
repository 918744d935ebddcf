from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from places import GOLDEN
from small_models import run

from edgeshuffle.device.cycles import Cycles
from edgeshuffle.device.emulated.boards import BOARDS, write_board
from edgeshuffle.device.emulated.plugin import read_counts
from edgeshuffle.errors import ArtifactError, DeviceError, UnknownNameError
from edgeshuffle.report import REPORTS
from edgeshuffle.runner.bench import BenchOptions
from edgeshuffle.runner.bench.events import Counted, MeasuredFile, Run, to_line
from edgeshuffle.runner.bench.instructions import count
from edgeshuffle.runner.bench.reading import Measured, read_measured
from edgeshuffle.runner.bench.record import Count
from edgeshuffle.runner.bench.results import report_of
from edgeshuffle.runner.bench.verdict import judge_count

INFO = dataclasses.replace(
    read_measured(GOLDEN / "bench" / "valid.jsonl").records[0].device,
    emulated=True,
    counted=True,
)


def counted(runtime, precision, *totals):
    classes = {"dot": 5_000_000, "widening_mac": 0, "fmla": 250_000}
    return Count(
        manifest_sha256="0" * 64,
        model="made_up",
        device=INFO,
        runtime=runtime,
        runtime_version="1.0",
        precision=precision,
        file=f"made_up_{precision}",
        file_sha256="1" * 64,
        inferences=tuple({"instructions": total, **classes} for total in totals),
    )


@pytest.fixture
def report():
    counts = (
        counted("ort", "fp32", 76_000_000, 75_000_000),
        counted("ort", "int8", 25_000_000, 25_500_000),
        counted("litert", "int8", 24_000_000),
    )
    return report_of(Measured(counts=counts), Path("build/bench/made_up.jsonl"), None)


def counts_of(report):
    return tuple(case.count for case in report.cases)


def test_the_shortest_inference_counts(report):
    first, second, third = report.cases
    assert first.count.instructions == 75_000_000
    assert first.speedup is None
    assert second.speedup == 3
    assert third.speedup is None


def test_inferences_that_differ_are_doubted(report):
    steady, wide = counted("ort", "int8", 10_000, 10_050), report.cases[1]
    assert judge_count(steady).valid
    (reason,) = wide.verdict.reasons
    assert "2.00 %" in reason
    assert report.invalid == ("ort fp32", "ort int8")


def kept(counts, path):
    """Counts as a bench keeps them."""
    files = [
        MeasuredFile(
            runtime=c.runtime, precision=c.precision, path=c.file, sha256="1" * 64, bytes=1
        )
        for c in counts
    ]
    begin = Run(
        kind="instructions",
        model=counts[0].model,
        manifest_sha256="0" * 64,
        device=INFO,
        files=tuple(files),
        threads=1,
        cores=(),
        mode="quick",
        minutes=0.0,
        seed=0,
        profile=False,
        started="",
    )
    happenings = [
        Counted(
            file=index,
            runtime_version=one.runtime_version,
            inferences=one.inferences,
            cycles=one.cycles,
        )
        for index, one in enumerate(counts)
    ]
    path.write_bytes(b"".join(map(to_line, (begin, *happenings))))
    return path


def test_records_keep_every_inference(report, tmp_path):
    path = kept(counts_of(report), tmp_path / "counts.jsonl")
    assert read_measured(path).counts == counts_of(report)
    # The first of them were one count a line.
    old = [json.dumps(dataclasses.asdict(one)) for one in counts_of(report)]
    path.write_text("\n".join(old) + "\n")
    assert read_measured(path).counts == counts_of(report)


@pytest.mark.parametrize(
    "inferences",
    [
        [],
        [{}],
        [{"instructions": 1}],
        [{"instructions": 0, "dot": 0, "widening_mac": 0, "fmla": 0}],
        [{"instructions": -1, "dot": 0, "widening_mac": 0, "fmla": 0}],
        [{"instructions": 1, "dot": 0, "widening_mac": 0, "fmla": 0, "verdict": 1}],
        [{"instructions": "1", "dot": 0, "widening_mac": 0, "fmla": 0}],
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_bad_counts_are_refused_in_one_line(report, tmp_path, capsys, inferences, old):
    path = kept(counts_of(report), tmp_path / "counts.jsonl")
    if old:
        content = json.dumps({**dataclasses.asdict(counts_of(report)[0]), "inferences": inferences})
    else:
        event = {"file": 0, "runtime_version": "1", "inferences": inferences}
        content = path.read_text().splitlines()[0] + "\n" + json.dumps({"counted": event})
    path.write_text(content + "\n")
    assert run("report", path) == ArtifactError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_the_report_command_shows_and_compares_them(report, tmp_path, capsys):
    path = kept(counts_of(report), tmp_path / "counts.jsonl")
    assert run("report", path) == 0
    table = report.render(REPORTS["terminal"]).partition("Raw counts")[0]
    assert capsys.readouterr().out == f"{table}Raw counts: {path}\n"
    fewer = dict(counts_of(report)[2].inferences[0], instructions=12_000_000, dot=1_000_000)
    better = dataclasses.replace(counts_of(report)[2], inferences=(fewer,))
    other = kept((*counts_of(report)[:2], better), tmp_path / "b.jsonl")
    assert run("report", other, "--against", path) == 0
    lines = capsys.readouterr().out.splitlines()
    same = "times the instructions of the other run, the same file"
    assert f"ort fp32: 1.0000 {same}: no difference." in lines
    assert f"litert int8: 0.5000 {same}: 50 % fewer." in lines
    assert "litert int8: changed, in millions: dot 5.00 to 1.00." in lines
    assert any(line.startswith("INVALID other run, ort int8: inferences differ") for line in lines)
    assert run("report", other, "--against", path, "--json") == 0
    change = json.loads(capsys.readouterr().out)["changes"][2]
    assert (change["value"], change["significant"]) == (0.5, True)
    assert change["classes"] == {"dot": {"then": 5_000_000, "now": 1_000_000}}


def test_the_table_for_people(report):
    shown = report.render(REPORTS["terminal"])
    assert shown == (GOLDEN / "instruction_report.txt").read_text("utf-8")
    assert " ms" not in shown


@pytest.fixture
def estimated(report):
    """The same with cycles, of all but the last."""
    first, second, third = counts_of(report)
    cycles = Cycles(
        estimate=30_000_000,
        core="neoverse-n1",
        llvm="19.1.7",
        modelled=0.999,
        misses=(191_456, 80_195, 66_439),
    )
    counts = (*(dataclasses.replace(one, cycles=cycles) for one in (first, second)), third)
    return report_of(Measured(counts=counts), Path("build/bench/made_up.jsonl"), None)


def test_cycles_are_shown_as_an_estimate(report, estimated):
    shown = estimated.render(REPORTS["terminal"]).splitlines()
    (begin,) = (index for index, line in enumerate(shown) if "M cycles (est.)" in line)
    assert [line.split() for line in shown[begin + 2 : begin + 4]] == [
        ["ort", "fp32", "30.00", "2.50", "99.9", "%", "191.5", "80.2", "66.4"],
        ["ort", "int8", "30.00", "0.83", "99.9", "%", "191.5", "80.2", "66.4"],
    ]
    assert "an estimate by LLVM 19.1.7's model of neoverse-n1" in shown[begin + 4]
    assert max(map(len, shown[begin : begin + 4])) <= 80
    assert "cycles" not in report.render(REPORTS["terminal"])
    found = json.loads(estimated.render(REPORTS["json"]))["results"]
    assert [one["cycles"] and one["cycles"]["estimate"] for one in found] == [30e6, 30e6, None]


def test_records_keep_cycles(estimated, tmp_path):
    path = kept(counts_of(estimated), tmp_path / "counts.jsonl")
    assert read_measured(path).counts == counts_of(estimated)


@pytest.mark.parametrize(
    "changes",
    [
        {"estimate": 0},
        {"estimate": 1.5},
        {"modelled": 0},
        {"modelled": 2},
        {"core": None},
        {"misses": [-1]},
    ],
)
def test_bad_cycles_are_refused(estimated, tmp_path, changes):
    path = kept(counts_of(estimated), tmp_path / "counts.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["counted"]["cycles"] |= changes
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ArtifactError, match="line 2"):
        read_measured(path)


def test_json_has_no_times(report):
    found = json.loads(report.render(REPORTS["json"]))
    assert found["mode"] == "instructions"
    assert [result["instructions"] for result in found["results"]] == [75e6, 25e6, 24e6]
    assert [result["verdict"] for result in found["results"]] == ["INVALID", "INVALID", "VALID"]
    assert not any("ms" in key.split("_") for key in found["results"][0])


def test_more_threads_are_refused(tmp_path):
    options = BenchOptions(artifact=None, threads=2)
    with pytest.raises(UnknownNameError, match="leave out `threads`"):
        next(count(options, None, INFO, (), lambda *_: None))


def test_counts_are_those_of_the_last_regions(tmp_path):
    lines = [{"region": region, "instructions": 10 * region} for region in (0, 1, 2, 0, 1, 2)]
    path = tmp_path / "counts"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_counts(path, 2) == ({"instructions": 10}, {"instructions": 20})
    with pytest.raises(DeviceError, match="other regions"):
        read_counts(path, 3)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_shows_its_own_core(name, tmp_path):
    board = BOARDS[name]
    write_board(board, tmp_path)
    shown = (tmp_path / "proc" / "cpuinfo").read_text()
    assert shown.count("processor") == 4
    assert f"CPU part\t: {board.part:#x}" in shown
    assert ("asimddp" in shown) == (name == "pi5")
    assert (tmp_path / "sys/devices/system/cpu/online").read_text() == "0-3\n"
