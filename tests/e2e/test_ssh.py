"""What only a board over ssh has: its own Python, a governor, firmware, keys and addresses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import devices
import pytest
from running import kept, start, until
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.device import open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.device.ssh import Address
from edgeshuffle.errors import DeviceError, GateError, UnknownNameError

pytestmark = pytest.mark.device


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Start a board of the test's own."""
    yield from devices.boards("ssh", tmp_path, monkeypatch)


def test_a_board_without_packages_gets_its_own(other, demo):
    board = other(runtimes=False)
    file = Artifact.load(demo).manifest.files[0]
    with open_device(board.address) as device:
        session = open_agent(device, file, demo / file.path)
        assert session.ready.runtime_version
    assert len(list(board.base.glob("site-*"))) == 1


def test_a_32_bit_board_runs_tflite_runtime(other, demo, capsys):
    board = other(machine="armv7l")
    arguments = ("evaluate", demo, "--device", board.address, "--runtime", "litert")
    assert run(*arguments, "--limit", 20, "--json") == 0
    found = json.loads(capsys.readouterr().out)["results"]
    by_precision = {result["precision"]: result for result in found}
    assert by_precision["fp32"]["device_agreement"] == 100
    assert by_precision["fp32"]["device_difference"] <= 1e-3
    # Its kernels of 2023 round int8 sums otherwise than today's do.
    assert by_precision["int8"]["device_agreement"] >= 90
    assert by_precision["int8"]["device_difference"] <= 8
    with open_device(board.address) as device:
        described = device.describe()
        file = Artifact.load(demo).manifest.files[-1]
        session = open_agent(device, file, demo / file.path)
    assert described.bits == 32
    assert session.ready.runtime_version == "2.14.0"


def bench(board, demo):
    return start("bench", demo, "--device", board.address, "--runtime", "litert", "--json")


@pytest.mark.parametrize("what", ["throttling", "clock"])
def test_what_happens_in_mid_run_makes_it_invalid(other, demo, tmp_path, what):
    board = other()
    board.clock(1_500_000)
    # Records of its own: another test's run that was cut off would be continued.
    artifact = shutil.copytree(demo, tmp_path / "build" / demo.name)
    running = bench(board, artifact)
    # Both model files are warmed up by then, however long that took.
    until(lambda: blocks(artifact) >= 2)
    if what == "throttling":
        board.throttle(0x40004)
        reason = "the firmware reports throttling"
    else:
        board.clock(600_000)
        reason = "the clock sank from 1500 to 600 MHz"
    code, out, err = running.end()
    assert code == GateError.exit_code
    assert len(err) == 1
    assert err[0].startswith("edgeshuffle: INVALID: litert fp32, litert int8. Do not quote these")
    for result in json.loads(out)["results"]:
        assert result["verdict"] == "INVALID"
        assert any(said.startswith(reason) for said in result["reasons"])
    assert {state["clock_khz"] for record in kept(artifact) for state in record["during"]} >= {
        1_500_000
    }


def blocks(artifact):
    """How many are kept by now; each round has one of every model file."""
    files = (artifact.parent / "bench").glob("*.jsonl")
    return sum(path.read_text().count('{"block":') for path in files)


def holders(board):
    """Numbers of the processes that hold the board."""
    return [int(pid) for pid in pgrep(f"{board.base}/runs/.*/agent/hold.py")]


def pgrep(pattern):
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return found.stdout.split()


def governor_of(board):
    return board.governor_file.read_text().strip()


def test_the_governor_is_set_and_set_back(other, demo):
    board = other()
    board.governor("ondemand")
    with open_device(board.address) as device:
        device.steady()
        assert governor_of(board) == "performance"
        assert device.describe().governor == "performance"
    assert governor_of(board) == "ondemand"
    assert list(board.base.glob("state/settings*")) == []


def test_a_governor_that_a_lost_run_left_is_set_back_at_the_next_contact(other):
    board = other()
    board.governor("ondemand")
    device = open_device(board.address)
    device.steady()
    # As if the power failed: nobody on the board can set anything back. All of them stop before
    # one dies, as the others' input ends with it.
    lost = holders(board)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in lost:
            os.kill(pid, number)
    board.power_off()
    with pytest.raises(DeviceError, match="cannot be reached"), device:
        pass
    assert governor_of(board) == "performance"
    board.power_on()
    with open_device(board.address):
        assert governor_of(board) == "ondemand"


def test_a_link_that_breaks_sets_the_governor_back_at_once(other):
    board = other()
    board.governor("ondemand")
    device = open_device(board.address)
    device.steady()
    # The link alone: what runs on the board goes on, and sees its input end.
    for pid in board.sessions():
        os.kill(pid, signal.SIGKILL)
    until(lambda: governor_of(board) == "ondemand", 20)
    with pytest.raises(DeviceError, match="was let go while it was used"), device:
        pass
    with open_device(board.address) as again:
        again.steady()


def test_a_governor_that_may_not_be_set_stays(other):
    board = other()
    board.governor("ondemand")
    # Nothing can be written to a file of this name, whoever asks.
    board.governor_file.unlink()
    board.governor_file.symlink_to("/proc/version")
    with open_device(board.address) as device:
        device.steady()
        assert device.describe().governor.startswith("Linux")


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
