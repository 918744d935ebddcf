"""`edgeshuffle bench` that ends early: what is kept, what goes on, and what is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from running import start
from small_models import run, three_models

from edgeshuffle.errors import DeviceError
from edgeshuffle.runner.bench.plan import SAMPLINGS
from edgeshuffle.runner.bench.reading import read_measured

pytestmark = pytest.mark.slow

NAMES = [("ort", "fp32"), ("ort", "int8"), ("litert", "fp32")]


@pytest.fixture
def folder(tmp_path):
    return three_models(tmp_path / "build" / "small")


def kept(folder):
    """The records of the only file beside the artifact."""
    (path,) = (folder.parent / "bench").iterdir()
    return path, read_measured(path).records


def left(folder):
    return sorted(path.name for path in folder.parent.iterdir())


# Tells which agent is asked what, so that tests can choose the moment.
TELLING = """
import sys
from edgeshuffle.cli import main
from edgeshuffle.device.local import LocalDevice
from edgeshuffle.device.process import JsonProcess

spawn, ask = LocalDevice.spawn, JsonProcess.ask

def started(self, argv):
    process = spawn(self, argv)
    print(process.pid, "start", flush=True)
    return process

def asked(self, command, timeout):
    print(self.pid, command["cmd"], flush=True)
    return ask(self, command, timeout)

LocalDevice.spawn, JsonProcess.ask = started, asked
main(sys.argv[1:])
"""


class Telling:
    """A full bench in a process of its own, and the agents that it started."""

    def __init__(self, folder, *options):
        script = folder.parent.parent / "bench.py"
        script.write_text(TELLING)
        self.process = subprocess.Popen(
            [sys.executable, script, "bench", folder, "--full", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.agents = []

    def until(self, what, times):
        """Read on until `what` was asked so often."""
        assert self.process.stdout is not None
        while times:
            pid, said = self.process.stdout.readline().split()
            if int(pid) not in self.agents:
                self.agents.append(int(pid))
            times -= said == what
        assert all(Path(f"/proc/{pid}").exists() for pid in self.agents)

    def ended(self):
        """The exit status and stderr."""
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err

    def alive(self):
        return [pid for pid in self.agents if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def telling(folder):
    bench = Telling(folder)
    yield bench
    bench.process.kill()
    bench.process.communicate()
    for pid in bench.alive():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("moment", "agents"), [(("start", 1), 1), (("start", 3), 3), (("run", 1), 3)]
)
def test_ctrl_c_before_the_first_block_leaves_no_agent_and_no_records(
    folder, telling, moment, agents
):
    telling.until(*moment)
    assert len(telling.agents) == agents
    telling.process.send_signal(signal.SIGINT)
    status, err = telling.ended()
    assert err.splitlines() == ["edgeshuffle: interrupted; nothing half-written is left."]
    assert status == 130
    assert telling.alive() == []
    assert left(folder) == ["small"]


def measuring(telling):
    """Until two rounds are over."""
    telling.until("state", 3)
    telling.until("run", 7)


def blocks(folder):
    """How many blocks of each file are kept, and whether all are finished."""
    _, records = kept(folder)
    return [len(record.blocks) for record in records], all(r.finished for r in records)


@pytest.mark.parametrize(
    ("end", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_every_block_that_was_timed_is_kept(folder, telling, end, status):
    measuring(telling)
    telling.process.send_signal(end)
    assert telling.ended()[0] == status
    counts, finished = blocks(folder)
    assert all(count >= 2 for count in counts)
    assert not finished


def test_what_was_cut_off_goes_on_in_the_same_file_and_never_loses_a_block(
    folder, telling, capsys, monkeypatch
):
    monkeypatch.setitem(SAMPLINGS, "full", replace(SAMPLINGS["full"], seconds=0.001))
    measuring(telling)
    telling.process.kill()
    telling.ended()
    path, before = kept(folder)
    whole = path.read_bytes().rpartition(b"\n")[0]
    # Another set of files is other work, which has a file of its own.
    assert run("bench", folder, "--full", "--runtime", "ort", "--allow-invalid") == 0
    assert path.read_bytes().startswith(whole)
    assert len(list((folder.parent / "bench").iterdir())) == 2
    capsys.readouterr()
    assert run("bench", folder, "--full", "--json", "--allow-invalid") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["continued"]
    assert found["records"] == str(path)
    assert path.read_bytes().startswith(whole)
    for old, new in zip(before, read_measured(path).records, strict=True):
        assert new.finished
        assert new.blocks[: len(old.blocks)] == old.blocks
    # What is finished is not continued again.
    assert run("bench", folder, "--full", "--json", "--allow-invalid") == 0
    assert not json.loads(capsys.readouterr().out)["continued"]


def test_a_model_that_is_lost_while_it_loads_takes_no_record_away(folder, telling, capsys):
    measuring(telling)
    telling.process.kill()
    telling.ended()
    counts, _ = blocks(folder)
    again = Telling(folder)
    again.until("start", 2)
    os.kill(again.agents[1], signal.SIGKILL)
    assert again.ended()[0] == DeviceError.exit_code
    assert blocks(folder)[0] == counts
    assert run("report", kept(folder)[0]) == 0
    assert "INVALID ort int8: the device failed before the end" in capsys.readouterr().out


def test_a_run_that_is_measured_at_the_moment_is_left_alone(folder, telling, capsys):
    measuring(telling)
    assert run("bench", folder, "--full") == DeviceError.exit_code
    assert "This machine is in use: " in capsys.readouterr().err
    telling.process.kill()
    telling.ended()
    assert kept(folder)[1]


def test_of_two_at_once_only_one_goes_on_with_what_was_cut_off(folder, capsys):
    assert run("bench", folder, "--allow-invalid") == 0
    path, _ = kept(folder)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:20]))
    options = ("--json", "--allow-invalid", "--wait", 100)
    both = [start("bench", folder, *options) for _ in range(2)]
    founds = [json.loads(one.end()[1]) for one in both]
    # The second begins when the first is over, and what is complete is not continued.
    assert sorted(found["continued"] for found in founds) == [False, True]
    assert len({found["records"] for found in founds}) == 2
    for found in founds:
        assert all(result["n"] == 128 for result in found["results"])


def test_an_agent_that_dies_ends_the_bench_but_not_the_records(folder, telling):
    telling.until("state", 3)
    telling.until("run", 7)
    os.kill(telling.agents[1], signal.SIGKILL)
    status, err = telling.ended()
    assert status == DeviceError.exit_code
    assert len(err.splitlines()) == 1
    assert f"Process {telling.agents[1]} on this machine ended early (signal 9)" in err
    assert "Run it again to go on from there." in err
    assert telling.alive() == []
    _, records = kept(folder)
    assert [(record.runtime, record.precision) for record in records] == NAMES
    for record in records:
        assert not record.finished
        assert record.blocks


def test_agents_end_by_themselves_where_the_bench_is_killed(telling):
    telling.until("state", 3)
    telling.process.kill()
    telling.process.wait()
    # Nobody but init collects them now, so a zombie counts as ended.
    deadline = time.monotonic() + 30
    while any(map(running, telling.agents)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
