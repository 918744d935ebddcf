"""The package index decides which runtimes a board can have, and nothing else is run for that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeshuffle.agent.probe import describe
from edgeshuffle.device.replies import Described, read
from edgeshuffle.errors import DeviceError
from edgeshuffle.payload import wheels

NONE = "ERROR: No matching distribution found for it"


def board(**changes):
    described = {**describe(), "machine": "aarch64", "is_arm": True, "bits": 64}
    return read({**described, "python": "3.9.2", "glibc": "2.36", **changes}, Described, "here")


@pytest.fixture
def index(monkeypatch):
    """An index that has the versions it is told, and what it was asked."""
    asked, versions = [], {}

    def pip(arguments, folder):
        asked.append(arguments)
        requirement = arguments[-1]
        name, _, version = requirement.partition("==")
        found = versions.get(name)
        if isinstance(found, str) and version in ("", found):
            report = {"install": [{"metadata": {"version": found, "name": name}}]}
            return subprocess.CompletedProcess(arguments, 0, json.dumps(report), "")
        said = NONE if not isinstance(found, Exception) else str(found)
        return subprocess.CompletedProcess(arguments, 1, "", said)

    monkeypatch.setattr(wheels, "_pip", pip)
    monkeypatch.setattr(wheels, "installed_here", lambda name: f"{name}==9.9")
    wheels._newest.cache_clear()
    yield versions
    wheels._newest.cache_clear()


def test_the_version_of_this_machine_where_it_fits_else_the_newest_that_does(index):
    index.update({"onnxruntime": "9.9", "ai-edge-litert": "2.1.0"})
    chosen = wheels.choose(board(), "pi")
    assert chosen.versions == {"onnxruntime": "9.9", "ai-edge-litert": "2.1.0"}
    assert chosen.requirements == ("onnxruntime==9.9", "ai-edge-litert==2.1.0")
    assert chosen.absent == ()


def test_what_has_no_wheel_is_absent(index):
    index.update({"onnxruntime": "1.19.2"})
    chosen = wheels.choose(board(), "pi")
    assert chosen.absent == ("ai-edge-litert",)
    assert chosen.why_not == "no wheel of ai-edge-litert fits Python 3.9 on aarch64"


def test_without_glibc_no_wheel_fits(index):
    index.update({"onnxruntime": "1.19.2", "ai-edge-litert": "2.1.0"})
    assert wheels.choose(board(glibc=None), "pi").versions == {}


def test_an_index_that_cannot_be_asked_is_not_an_index_without_wheels(index):
    index["onnxruntime"] = OSError(
        f"WARNING: Retrying (Retry(total=0)) after connection broken\n{NONE}"
    )
    with pytest.raises(DeviceError, match="package registries"):
        wheels.choose(board(), "pi")


def test_a_board_of_32_bits_takes_another_runtime(index):
    index["tflite-runtime"] = "2.14.0"
    chosen = wheels.choose(board(bits=32), "pi")
    assert (chosen.machine, chosen.without_numpy) == ("armv7l", True)
    assert chosen.requirements == ("tflite-runtime==2.14.0",)


def test_another_machine_is_refused():
    with pytest.raises(DeviceError, match="is a riscv64, for which there are no runtimes"):
        wheels.choose(board(machine="riscv64"), "pi")


def test_a_pip_in_the_current_folder_is_not_run(tmp_path, monkeypatch):
    for name in ("pip.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('somebody else')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = wheels._pip(["list"], str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_pip_makes_for_itself_lies_in_the_folder_that_is_removed(tmp_path):
    done = wheels._run(
        [sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"], "pip", str(tmp_path)
    )
    assert Path(done.stdout.strip()).parent == tmp_path
