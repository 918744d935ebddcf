"""A device is held by one at a time and left as it was found, whatever ends its holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeshuffle.agent import hold
from edgeshuffle.device import open_device
from edgeshuffle.device.hold import holder
from edgeshuffle.errors import DeviceError

# The program with a made-up kernel.
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
import hold
hold.CPUS = Path(sys.argv.pop(1))
hold.SILENCE_SECONDS = float(sys.argv.pop(1))
sys.exit(hold.main())
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    for core in range(2):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("ondemand\n")
    monkeypatch.setattr(hold, "CPUS", tmp_path)
    return tmp_path


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def governors(board):
    return {file.read_text().strip() for file in board.glob("cpu*/cpufreq/scaling_governor")}


@contextmanager
def holding(board, state, *options, silence=60.0):
    """A holder, and its first reply."""
    folder = str(Path(hold.__file__).parent)
    argv = [sys.executable, "-c", RUN, folder, str(board), str(silence)]
    argv += ["--state", str(state), *options]
    process = subprocess.Popen(
        [*argv, "--holder", holder(), "--governor", "performance"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if not process.stdin.closed:
            process.stdin.close()


def test_it_sets_and_sets_back(board, state):
    with holding(board, state) as (process, reply):
        assert reply == {"held": True, "left": [], "problem": None}
        assert governors(board) == {"performance"}
        assert (state / hold.MEMORY).exists()
        out, _ = process.communicate(timeout=20)
    assert json.loads(out) == {"left": []}
    assert governors(board) == {"ondemand"}
    assert [file.name for file in state.iterdir()] == ["lock"]
    assert (state / "lock").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_or_two_set_it_back(board, state, number):
    with holding(board, state) as (process, _):
        for _ in range(3):
            process.send_signal(number)
            time.sleep(0.01)
        process.wait(20)
    assert governors(board) == {"ondemand"}


def test_of_several_signals_one_ends_the_wait_and_no_other_disturbs_what_follows():
    hold._end.waits = True
    with pytest.raises(hold.Ended):
        hold._end(signal.SIGTERM, None)
    hold._end(signal.SIGTERM, None)


def test_a_second_holder_is_told_who_the_first_is(board, state):
    with holding(board, state):
        with holding(board, state) as (second, reply):
            assert reply["held"] is False
            assert reply["holder"]["pid"] == os.getpid()
            assert {"host", "user", "command", "since"} < reply["holder"].keys()
            assert second.wait(20) == 1
        assert governors(board) == {"performance"}


def test_a_second_holder_can_wait_and_remembers_the_right_governor(board, state):
    with (
        holding(board, state) as (first, _),
        holding(board, state, "--wait", "60") as (second, reply),
    ):
        assert reply["waiting"] is True
        first.communicate(timeout=20)
        assert json.loads(second.stdout.readline())["held"] is True
        assert governors(board) == {"performance"}
        second.communicate(timeout=20)
    assert governors(board) == {"ondemand"}


def test_who_waits_for_nobody_any_more_ends(board, state):
    with holding(board, state), holding(board, state, "--wait", "60") as (second, _):
        second.stdin.close()
        assert second.wait(20) == 1


def test_what_a_killed_holder_left_is_set_back_by_the_next_contact(board, state):
    with holding(board, state) as (process, _):
        process.kill()
        process.wait()
    assert governors(board) == {"performance"}
    assert hold.restore_if_free(state) == {"left": []}
    assert governors(board) == {"ondemand"}
    assert not (state / hold.MEMORY).exists()


def test_a_killed_holders_memory_is_not_overwritten(board, state):
    with holding(board, state) as (process, _):
        process.kill()
        process.wait()
    with holding(board, state) as (process, _):
        process.communicate(timeout=20)
    assert governors(board) == {"ondemand"}


def test_another_contact_leaves_a_held_device_alone(board, state):
    with holding(board, state):
        assert hold.restore_if_free(state) == {"left": [], "busy": True}
        assert governors(board) == {"performance"}


def test_what_cannot_be_set_back_stays_remembered(board, state, monkeypatch):
    state.mkdir()
    hold.change(state, "performance", phone=False)
    with monkeypatch.context() as patch:
        patch.setattr(hold, "_write", lambda file, text: True)
        left = hold.restore_if_free(state)["left"]
    assert len(left) == 2
    assert left[0].endswith("scaling_governor to ondemand")
    assert hold.restore_if_free(state) == {"left": []}
    assert governors(board) == {"ondemand"}


@pytest.mark.parametrize(
    "memory", ["", "[]", "{}", '{"governors": {"/etc/passwd": "x"}, "phone": false}', "\0\0"]
)
def test_a_memory_of_something_else_changes_nothing(board, state, memory):
    state.mkdir()
    (state / hold.MEMORY).write_text(memory)
    assert hold.restore_if_free(state) == {"left": []}
    assert governors(board) == {"ondemand"}


def test_a_silent_link_ends_a_hold(board, state):
    with holding(board, state, silence=0.3) as (process, _):
        assert process.wait(20) == 0
        assert governors(board) == {"ondemand"}


def test_a_folder_that_cannot_be_written_is_said(board, tmp_path):
    (tmp_path / "file").write_text("")
    with holding(board, tmp_path / "file" / "state") as (_, reply):
        assert reply["held"] is False
        assert "Not a directory" in reply["problem"]
    assert governors(board) == {"ondemand"}


def test_this_machine_is_held_by_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with open_device("local") as first, open_device("local") as second:
        first.steady()
        with pytest.raises(DeviceError, match=rf"in use: .*\(process {os.getpid()}\) since 2"):
            second.steady()
    with open_device("local") as again:
        again.steady()


def test_a_lost_hold_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    device = open_device("local")
    device.steady()
    os.kill(device._hold._process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while device._hold._process.is_silent:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(DeviceError, match="was let go while it was used"), device:
        pass
