"""`bench` and `evaluate` on a stand-in Raspberry Pi over real ssh, and all that can break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import devices
import pytest
from small_models import run
from standins import pi

from edgeshuffle.artifact import Artifact, sha256
from edgeshuffle.device import open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.device.ssh import Address
from edgeshuffle.errors import DeviceError, UnknownNameError


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build") / "demo"
    assert run("export", "--width", "0.5", "--resolution", 64, "--int8", "-o", folder) == 0
    return folder


@pytest.fixture
def board():
    devices.ssh()
    return devices.stand_in_pi()


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Start a board of the test's own."""
    devices.ssh()
    started = []

    def start(**options):
        folder = tmp_path / "pi"
        folder.mkdir()
        made = pi.start(folder, **options)
        started.append(made)
        monkeypatch.setenv("PATH", f"{made.path}{os.pathsep}{os.environ['PATH']}")
        return made

    yield start
    for made in started:
        made.stop()


@dataclass
class Running:
    """The command line in a process of its own."""

    process: subprocess.Popen[str]

    def end(self):
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err.splitlines()


def start(*arguments):
    command = [sys.executable, "-m", "edgeshuffle", *map(str, arguments)]
    return Running(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    )


def until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept(demo):
    """Records of the newest run."""
    newest = max((demo.parent / "bench").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in newest.read_text().splitlines()]


def agents(board):
    found = subprocess.run(
        ["pgrep", "-f", f"{board.home}/.cache/edgeshuffle/runs"], capture_output=True, check=False
    )
    return found.stdout.split()


def clean(board):
    until(lambda: not board.left() and not agents(board), 20)
    return True


def test_bench_does_on_a_board_what_it_does_here(board, demo):
    code, out, err = start("bench", demo, "--device", board.address, "--json").end()
    assert (code, err) == (0, [])
    found = json.loads(out)
    assert found["device"]["cpu"] == "Raspberry Pi 4 Model B Rev 1.4"
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
            assert sha256(Path(path)) == sha256(file)
    assert [what[0] for what in said].count(f"push {file.name}") == 1


def test_a_board_without_packages_gets_its_own(other, demo):
    board = other(runtimes=False)
    file = Artifact.load(demo).manifest.files[0]
    with open_device(board.address) as device:
        session = open_agent(device, file, demo / file.path)
        assert session.ready["runtime_version"]
    assert len(list((board.home / ".cache" / "edgeshuffle").glob("site-*"))) == 1


def test_a_connection_that_is_cut_in_a_push_is_made_anew(board, tmp_path):
    file = tmp_path / "large"
    with file.open("wb") as out:
        out.write(os.urandom(1_000_000) * 400)
    with open_device(board.address) as device:
        cutter = threading.Timer(0.15, board.cut)
        cutter.start()
        path = device.push(file)
        cutter.join()
        assert sha256(Path(path)) == sha256(file)
    assert clean(board)
    (board.home / ".cache" / "edgeshuffle" / "files" / sha256(file)).unlink()


def bench(board, demo, runtime="litert"):
    return start("bench", demo, "--device", board.address, "--runtime", runtime, "--json")


def test_a_connection_that_is_cut_in_mid_run(board, demo):
    running = bench(board, demo)
    until(lambda: len(agents(board)) >= 2)
    time.sleep(1)
    board.cut()
    code, out, err = running.end()
    assert code == DeviceError.exit_code
    assert out == ""
    assert len(err) == 1
    assert board.address in err[0]
    assert clean(board)


def test_an_agent_that_is_killed(board, demo):
    running = bench(board, demo)
    until(lambda: len(agents(board)) >= 2)
    time.sleep(1.5)
    os.kill(int(agents(board)[-1]), signal.SIGKILL)
    code, _, err = running.end()
    assert code == DeviceError.exit_code
    assert len(err) == 1
    assert clean(board)


def test_ctrl_c(board, demo):
    running = bench(board, demo)
    until(lambda: len(agents(board)) >= 2)
    time.sleep(1)
    running.process.send_signal(signal.SIGINT)
    code, _, err = running.end()
    assert code == 130
    assert len(err) == 1
    assert clean(board)


# The firmware is asked after every block and after every 20 inferences of the warm-up, which is
# over by then: two model files of at most 2 s each.
IN_MID_RUN = 24


@pytest.mark.parametrize("what", ["throttling", "clock"])
def test_what_happens_in_mid_run_makes_it_invalid(other, demo, what):
    board = other()
    board.clock(1_500_000)
    if what == "throttling":
        board.at_call(IN_MID_RUN, f"echo throttled=0x40004 >'{board.folder}/throttled'")
        reason = "the firmware reports throttling"
    else:
        board.at_call(IN_MID_RUN, f"echo 600000 >'{board.clock_file}'")
        reason = "the clock sank from 1500 to 600 MHz"
    code, out, err = bench(board, demo).end()
    assert (code, err) == (0, [])
    for result in json.loads(out)["results"]:
        assert result["verdict"] == "INVALID"
        assert any(said.startswith(reason) for said in result["reasons"])
    assert {state["clock_khz"] for record in kept(demo) for state in record["during"]} >= {
        1_500_000
    }


def governor_of(board):
    return board.governor_file.read_text().strip()


def test_the_governor_is_set_and_set_back(other, demo):
    board = other()
    board.governor("ondemand")
    with open_device(board.address) as device:
        device.steady()
        assert governor_of(board) == "performance"
        assert device.info().governor == "performance"
    assert governor_of(board) == "ondemand"
    assert list((board.home / ".cache/edgeshuffle").glob("governors*")) == []


def test_a_governor_that_a_lost_run_left_is_set_back_at_the_next_contact(other):
    board = other()
    board.governor("ondemand")
    device = open_device(board.address)
    device.steady()
    board.cut()
    board.server.terminate()
    board.server.wait()
    with pytest.raises(DeviceError, match="cannot be reached"), device:
        pass
    assert governor_of(board) == "performance"
    board.listen()
    with open_device(board.address):
        assert governor_of(board) == "ondemand"


def test_a_governor_that_may_not_be_set_stays(other):
    board = other()
    board.governor("ondemand")
    # Nothing can be written to a file of this name, whoever asks.
    board.governor_file.unlink()
    board.governor_file.symlink_to("/proc/version")
    with open_device(board.address) as device:
        device.steady()
        assert device.info().governor.startswith("Linux")


def test_a_full_disk(other, demo, capsys):
    board = other(file_bytes=300_000)
    assert run("bench", demo, "--device", board.address) == DeviceError.exit_code
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "disk space" in err[0]
    assert clean(board)
    assert not list((board.home / ".cache" / "edgeshuffle" / "files").glob("*.*"))


def refused(board, message):
    with pytest.raises(DeviceError, match=message) as caught:
        open_device(board.address)
    assert "\n" not in str(caught.value)


def test_a_wrong_host_key(other):
    board = other()
    known = board.folder / "known_hosts"
    key = (board.folder / "user_key.pub").read_text().split()[1]
    known.write_text(f"[127.0.0.1]:{board.port} ssh-ed25519 {key}\n")
    refused(board, r"Host key verification failed.*compare the key")
    known.write_text("")
    refused(board, "Host key verification failed")


def test_no_permission(other):
    board = other()
    (board.folder / "user_key.pub").write_text("")
    refused(board, "Permission denied.*ssh-copy-id")


def test_a_board_that_is_off(other):
    board = other()
    board.stop()
    refused(board, "cannot be reached .*Connection refused")


@pytest.mark.parametrize("text", ["", "-oProxyCommand=evil", "a b", "x@", "pi@host:port", "h;id"])
def test_addresses_that_are_none(text):
    with pytest.raises(UnknownNameError, match="no ssh address"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pi", (None, "pi", None)),
        ("me@raspberrypi.local:2222", ("me", "raspberrypi.local", 2222)),
        ("[fe80::1]:22", (None, "fe80::1", 22)),
    ],
)
def test_addresses(text, parts):
    address = Address.parse(text)
    assert (address.user, address.host, address.port) == parts
