"""A board that several use at once, or that somebody left in mid-work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import devices
import pytest
from running import clean, start, until
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.device import open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import DeviceError

pytestmark = pytest.mark.device


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Start a board of the test's own."""
    yield from devices.boards("ssh", tmp_path, monkeypatch)


@pytest.fixture
def board(other):
    board = other()
    board.governor("ondemand")
    return board


def governor_of(board):
    return board.governor_file.read_text().strip()


def bench(board, demo, *options):
    return start(
        *("bench", demo, "--device", board.address, "--runtime", "litert", "--json"),
        "--allow-invalid",
        *options,
    )


def is_steady(board):
    return governor_of(board) == "performance"


def test_a_second_bench_is_told_who_the_first_is(board, demo, capsys):
    with open_device(board.address) as device:
        device.steady()
        assert run("bench", demo, "--device", board.address) == DeviceError.exit_code
        (line,) = capsys.readouterr().err.splitlines()
        assert "is in use: " in line
        assert f"(process {os.getpid()}) since 2" in line
        assert "--wait SECONDS" in line
        assert is_steady(board)
    assert governor_of(board) == "ondemand"
    assert clean(board)


def test_two_benches_in_turn_leave_the_governor_as_it_was(board, small, tmp_path):
    copies = [tmp_path / f"artifact{index}" / "small" for index in range(2)]
    for copy in copies:
        shutil.copytree(small, copy)
    racing = [bench(board, copy, "--wait", 300) for copy in copies]
    assert [one.end()[0] for one in racing] == [0, 0]
    assert governor_of(board) == "ondemand"
    assert clean(board)


def test_another_contact_in_mid_run_leaves_the_governor_alone(board, demo):
    with open_device(board.address) as device:
        device.steady()
        assert run("devices", "test", board.address) == 0
        assert run("doctor", "--device", board.address) == 0
        assert is_steady(board)
    assert governor_of(board) == "ondemand"


@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT, signal.SIGTERM], [signal.SIGKILL]]
)
def test_a_bench_that_is_ended_twice_leaves_nothing(board, demo, numbers):
    running = bench(board, demo)
    until(lambda: is_steady(board))
    time.sleep(1)
    for number in numbers:
        running.process.send_signal(number)
        time.sleep(0.3)
    running.end()
    until(lambda: governor_of(board) == "ondemand", 20)
    # The next contact removes the folder of a run that was killed.
    assert run("devices", "test", board.address) == 0
    assert clean(board)


def test_two_setups_at_once_make_one_whole_site(other, demo):
    board = other(runtimes=False)
    racing = [start("setup", "--device", board.address, "--wait", 120) for _ in range(2)]
    assert [(code, err) for code, _, err in (one.end() for one in racing)] == [(0, []), (0, [])]
    assert len(list(board.base.glob("site-*"))) == 1
    site = next(board.base.glob("site-*"))
    assert (site / "onnxruntime").is_dir()
    # Whatever broke it, it is made again.
    shutil.rmtree(site / "onnxruntime")
    assert run("setup", "--device", board.address) == 0
    assert (site / "onnxruntime").is_dir()


def test_a_kept_file_that_is_broken_is_pushed_again(board, tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(os.urandom(1000))
    for _ in range(2):
        with open_device(board.address) as device:
            there = board.real(device.push(file))
            assert there.read_bytes() == file.read_bytes()
            there.write_bytes(b"broken")


def test_a_model_named_like_a_program_of_ours_does_not_become_one(board, demo, tmp_path):
    evil = tmp_path / "ort.py"
    evil.write_text("raise SystemExit('run')")
    file = next(f for f in Artifact.load(demo).manifest.files if f.runtime == "ort")
    with open_device(board.address) as device:
        pushed = board.real(device.push(evil))
        session = open_agent(device, file, demo / file.path)
        assert session.samples(1).samples_ns
        assert pushed.parent.name == "files"
        assert pushed.name != "ort.py"


def logs_in_with(board, script):
    """Have the board run this for every command that it is sent."""
    shell = board.folder / "login"
    shell.write_text(f"#!/bin/sh\n{script}\n")
    shell.chmod(0o755)
    settings = board.folder / "sshd_config"
    settings.write_text(settings.read_text() + f"ForceCommand {shell}\n")
    board.power_off()
    board.power_on()


def test_a_login_shell_that_greets(board, demo, capsys):
    # As by a .bashrc that prints: before anything else, to every command.
    logs_in_with(board, "echo 'Welcome to /tmp!'; echo\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"")
    assert run("devices", "test", board.address, "--json") == 0
    assert json.loads(capsys.readouterr().out)["machine"] == "aarch64"
    file = Artifact.load(demo).manifest.files[0]
    with open_device(board.address) as device:
        device.steady()
        assert open_agent(device, file, demo / file.path).state().peak_rss_bytes
    assert [path.name for path in board.home.iterdir()] == [".cache"]
    assert clean(board)


def test_a_login_shell_that_runs_nothing(board, capsys):
    logs_in_with(board, "echo no shell for you; exit 1")
    assert run("devices", "test", board.address) == DeviceError.exit_code
    assert "no shell for you). Check its user's login shell" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a b", "100%", "x" * 120])
def test_a_temporary_folder_of_any_name(board, tmp_path, name):
    strange = tmp_path / name
    strange.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "edgeshuffle", "devices", "test", board.address],
        env={**os.environ, "TMPDIR": str(strange), "XDG_RUNTIME_DIR": str(strange)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(strange.iterdir()) == []


def sockets():
    return set(Path("/tmp").glob("edgeshuffle-*/link"))


def test_a_start_that_fails_leaves_no_link(other, tmp_path):
    before = sockets()
    board = other()
    (board.home / ".cache").write_text("no folder")
    with pytest.raises(DeviceError, match="Check its disk space and permissions"):
        open_device(board.address)
    assert sockets() <= before


def test_a_held_image_runner(demo, capsys):
    address = devices.runner()
    with open_device(address) as device:
        device.steady()
        assert run("bench", demo, "--device", address) == DeviceError.exit_code
        assert f"(process {os.getpid()})" in capsys.readouterr().err
    with open_device(address) as device:
        device.steady()
