"""`bench` and `evaluate` on devices at the other end of a real link, and all that can break."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time

import devices
import pytest
from running import agents, clean, kept, start, until
from small_models import run

from edgeshuffle.artifact import Artifact, sha256
from edgeshuffle.device import open_device
from edgeshuffle.errors import DeviceError
from edgeshuffle.runner.bench import BenchOptions
from edgeshuffle.runner.bench import bench as run_bench

pytestmark = pytest.mark.device

KINDS = ("ssh", "adb")


@pytest.fixture(params=KINDS)
def board(request):
    return devices.stand_in(request.param)


@pytest.fixture(params=KINDS)
def other(request, tmp_path, monkeypatch):
    """Start a device of the test's own."""
    yield from devices.boards(request.param, tmp_path, monkeypatch)


def test_bench_does_on_a_board_what_it_does_here(board, small):
    code, out, err = start(
        "bench", small, "--device", board.address, "--json", "--allow-invalid"
    ).end()
    assert (code, err) == (0, [])
    found = json.loads(out)
    names = {"ssh": "Raspberry Pi 4 Model B Rev 1.4", "adb": "Google Pixel 8, Android 15"}
    assert found["device"]["cpu"] == names[board.address.partition(":")[0]]
    assert found["device"]["label"] == "device"
    pairs = {(r["runtime"], r["precision"]) for r in found["results"]}
    assert pairs == {(r, p) for r in ("ort", "litert") for p in ("fp32", "int8")}
    assert all(result["n"] >= 30 for result in found["results"])
    assert clean(board)


def test_evaluate_measures_accuracy_there(board, demo, capsys):
    arguments = ("evaluate", demo, "--device", board.address, "--limit", 30, "--json")
    assert run(*arguments) == 0
    for result in json.loads(capsys.readouterr().out)["results"]:
        assert result["device_agreement"] == 100
        assert result["device_difference"] <= (2 if result["precision"] == "int8" else 1e-3)
    assert clean(board)


def test_a_file_is_pushed_once(board, tmp_path, monkeypatch):
    file = tmp_path / "a name with spaces and 'quotes'.bin"
    file.write_bytes(os.urandom(100_000))
    said = []
    for _ in range(2):
        with open_device(board.address, lambda *what: said.append(what)) as device:
            path = device.push(file)
            assert sha256(board.real(path)) == sha256(file)
    assert [what[0] for what in said].count(f"push {file.name}") == 1


def test_a_connection_that_is_cut_in_a_push_is_made_anew(board, tmp_path):
    file = tmp_path / "large"
    with file.open("wb") as out:
        out.write(os.urandom(1_000_000) * 400)
    with open_device(board.address) as device:
        cutter = threading.Timer(0.15, board.cut)
        cutter.start()
        path = device.push(file)
        cutter.join()
        assert sha256(board.real(path)) == sha256(file)
    assert clean(board)
    (board.base / "files" / sha256(file)).unlink()


def bench(board, demo, runtime="litert"):
    options = ("--runtime", runtime, "--json", "--allow-invalid")
    return start("bench", demo, "--device", board.address, "--allow-invalid", *options)


def bench_until(board, artifact, stage, share, event):
    """Bench with LiteRT; at that share of the stage the event happens. The device must be lost."""
    happened = []

    def progress(now, done, total):
        if now == stage and done >= share * total and not happened:
            happened.append(event())

    options = BenchOptions(
        artifact=Artifact.load(artifact), device=board.address, runtimes=("litert",)
    )
    with pytest.raises(DeviceError) as caught:
        run_bench(options, progress)
    assert happened
    assert "\n" not in str(caught.value)
    assert board.address in str(caught.value)


@pytest.mark.parametrize(("stage", "share"), [("warm up", 0.5), ("measure", 0.3)])
def test_a_connection_that_is_cut(board, demo, stage, share):
    bench_until(board, demo, stage, share, board.cut)
    assert clean(board)


def test_a_rerun_after_a_reboot_goes_on(other, small, tmp_path, monkeypatch):
    monkeypatch.setattr("edgeshuffle.device.adb.RETURN_SECONDS", 1)
    board = other()
    artifact = tmp_path / "artifact"
    shutil.copytree(small, artifact)
    bench_until(board, artifact, "measure", 0.3, board.power_off)
    lost = kept(artifact)
    assert any(not record["finished"] for record in lost)
    board.power_on()
    code, out, err = bench(board, artifact).end()
    assert (code, err) == (0, [])
    assert json.loads(out)["continued"]
    for before, after in zip(lost, kept(artifact), strict=True):
        assert after["finished"]
        assert after["blocks"][: len(before["blocks"])] == before["blocks"]
        assert after["started"] == before["started"]


def test_an_agent_that_is_killed(board, demo):
    running = bench(board, demo)
    until(lambda: len(agents(board)) >= 2)
    time.sleep(1.5)
    os.kill(agents(board)[-1], signal.SIGKILL)
    code, _, err = running.end()
    assert code == DeviceError.exit_code
    assert len(err) == 1
    assert clean(board)


@pytest.mark.parametrize(
    ("signalled", "expected", "said"),
    [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 0), (signal.SIGHUP, 129, 0)],
)
def test_an_interrupted_run_leaves_the_board_clean(board, demo, signalled, expected, said):
    running = bench(board, demo)
    until(lambda: len(agents(board)) >= 2)
    time.sleep(1)
    running.process.send_signal(signalled)
    code, _, err = running.end()
    assert code == expected
    assert len(err) == said
    assert clean(board)


def test_a_full_disk(other, demo, capsys):
    board = other(file_bytes=300_000)
    assert run("bench", demo, "--device", board.address) == DeviceError.exit_code
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "disk space" in err[0]
    assert clean(board)
    assert not list((board.base / "files").glob("*.*"))
