"""`edgeshuffle bench` on tiny real models: what is printed, kept, refused, and left running."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import artifact, onnx_classifier, run, tflite_classifier

from edgeshuffle.bench.plan import BUDGETS
from edgeshuffle.bench.record import Record
from edgeshuffle.errors import (
    ArtifactError,
    DeviceError,
    MissingExtraError,
    RuntimeUnavailableError,
    UnknownNameError,
)

SIZE, CLASSES = 4, 10
WEIGHT = np.random.default_rng(5).standard_normal((CLASSES, 3)).astype(np.float32)
BIAS = np.zeros(CLASSES, np.float32)
MODELS = [("model_fp32.onnx", "fp32"), ("model_int8.onnx", "int8"), ("model_fp32.tflite", "fp32")]
NAMES = [("ort", "fp32"), ("ort", "int8"), ("litert", "fp32")]


def make(folder, files=MODELS):
    return artifact(folder, files, num_classes=CLASSES, size=SIZE)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "build" / "small"
    path.mkdir(parents=True)
    onnx_classifier(path / "model_fp32.onnx", WEIGHT, BIAS, SIZE)
    onnx_classifier(path / "model_int8.onnx", WEIGHT, BIAS, SIZE, (0.25, 128))
    tflite_classifier(path / "model_fp32.tflite", WEIGHT, BIAS, SIZE)
    make(path)
    return path


def kept(folder):
    """The records of the only file beside the artifact."""
    (path,) = (folder.parent / "bench").iterdir()
    return path, [Record.from_json(line) for line in path.read_text().splitlines()]


def left(folder):
    return sorted(path.name for path in folder.parent.iterdir())


def test_json_has_every_file_and_nothing_else(folder, capsys):
    assert run("bench", folder, "--json", "--seed", 3) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert (found["model"], found["mode"], found["seed"]) == ("small", "quick", 3)
    assert [(one["runtime"], one["precision"]) for one in found["results"]] == NAMES
    for one in found["results"]:
        assert one["n"] == 128
        assert one["first_ms"] > 0
        assert one["load_ms"] > 0
        assert one["peak_rss_bytes"] > 2**20
        assert one["bytes"] == (folder / one["file"]).stat().st_size
        assert one["verdict"] == ("INVALID" if one["reasons"] else "VALID")
        for key in ("p50_ms", "p90_ms", "p99_ms"):
            assert 0 < one[key]["low"] <= one[key]["value"] <= one[key]["high"]
    (ratio,) = found["ratios"]
    assert (ratio["runtime"], ratio["numerator"], ratio["denominator"]) == ("ort", "fp32", "int8")

    path, records = kept(folder)
    assert found["records"] == str(path)
    assert {(record.runtime, record.precision) for record in records} == set(NAMES)
    for record in records:
        (one,) = (
            one
            for one in found["results"]
            if (one["runtime"], one["precision"]) == (record.runtime, record.precision)
        )
        assert np.shape(record.blocks) == (16, 8)
        assert one["p50_ms"]["value"] == np.percentile(record.blocks, 50) / 1e6
        assert record.finished
        assert record.seed == 3
        assert len(record.warmup_ns) >= 20


def test_the_table_of_the_newest_artifact_and_one_runtime(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    # What this machine does meanwhile decides the verdict, so none of its limits may matter here.
    monkeypatch.setattr("edgeshuffle.bench.verdict.SPREAD", 0)
    assert run("bench", "--runtime", "ort", "--threads", 2) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("small on ")
    assert ", 2 threads, quick: " in lines[0]
    assert re.search(r"^ ort fp32( +[\d.]+){3} +- +INVALID$", out, re.MULTILINE)
    assert re.search(r"^ ort int8( +[\d.]+){4} +INVALID$", out, re.MULTILINE)
    assert "litert" not in out
    assert "INVALID ort fp32: " in out
    path, records = kept(folder)
    assert lines[-1] == f"Raw samples: {path.relative_to(folder.parent.parent)}"
    assert [record.threads for record in records] == [2, 2]


def test_full_measures_longer(folder, capsys, monkeypatch):
    make(folder, MODELS[2:])
    monkeypatch.setitem(BUDGETS, "full", replace(BUDGETS["full"], seconds=0.001))
    assert run("bench", folder, "--full", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mode"] == "full"
    assert found["results"][0]["n"] >= 1024
    assert found["ratios"] == []


class TestErrors:
    def refused(self, capsys, error, message, *arguments):
        code = run("bench", *arguments)
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert err.count("\n") == 1, err
        assert code == error.exit_code

    def test_an_unknown_device(self, folder, capsys):
        arguments = (folder, "--device", "locl")
        self.refused(capsys, UnknownNameError, "Did you mean 'local'?", *arguments)
        assert left(folder) == ["small"]

    @pytest.mark.parametrize(
        "option", [("--runtime", "coreml"), ("--threads", 0), ("--seed", -1), ("--slow",)]
    )
    def test_a_bad_option(self, folder, capsys, option):
        assert run("bench", folder, *option) == 2
        assert option[0] in capsys.readouterr().err
        assert left(folder) == ["small"]

    def test_no_artifact(self, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.refused(capsys, ArtifactError, "no artifact under build/")
        self.refused(capsys, ArtifactError, "no manifest.json", tmp_path)

    def test_no_file_for_the_runtime(self, folder, capsys):
        make(folder, MODELS[:2])
        arguments = (folder, "--runtime", "litert")
        self.refused(capsys, ArtifactError, "no model file for litert", *arguments)

    def test_a_file_that_was_changed(self, folder, capsys):
        (folder / "model_int8.onnx").write_bytes(b"no model")
        self.refused(capsys, ArtifactError, "model_int8.onnx was changed", folder)

    @pytest.mark.parametrize(
        ("name", "runtime"), [("model_int8.onnx", "ort"), ("model_fp32.tflite", "litert")]
    )
    def test_a_corrupt_model_file(self, folder, capsys, name, runtime):
        (folder / name).write_bytes(b"no model")
        make(folder)
        message = f"{runtime} cannot run {folder / name} ("
        self.refused(capsys, RuntimeUnavailableError, message, folder, "--json")
        assert left(folder) == ["small"]

    def test_a_runtime_that_is_not_installed(self, folder, capsys, tmp_path, monkeypatch):
        (tmp_path / "onnxruntime").mkdir()
        (tmp_path / "onnxruntime" / "__init__.py").write_text(
            "raise ModuleNotFoundError('none', name='onnxruntime')"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        self.refused(capsys, MissingExtraError, "pip install 'edgeshuffle[runtime]'", folder)
        assert left(folder) == ["small"]

    def test_records_that_cannot_be_kept(self, folder, capsys):
        (folder.parent / "bench").write_text("not a folder")
        self.refused(capsys, ArtifactError, "Cannot write", folder)
        assert (folder.parent / "bench").read_text() == "not a folder"

    def test_a_full_disk(self, folder):
        full = 500
        done = subprocess.run(
            [sys.executable, "-m", "edgeshuffle", "bench", folder, "--runtime", "litert"],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
            check=False,
        )
        assert done.returncode == ArtifactError.exit_code
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert "Cannot write" in done.stderr
        assert left(folder) == ["small"]


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

    def __init__(self, folder):
        script = folder.parent.parent / "bench.py"
        script.write_text(TELLING)
        self.process = subprocess.Popen(
            [sys.executable, script, "bench", folder, "--full"],
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
    ("moment", "agents"), [(("start", 1), 1), (("start", 3), 3), (("run", 1), 3), (("state", 3), 3)]
)
def test_ctrl_c_leaves_no_agent_and_no_records(folder, telling, moment, agents):
    telling.until(*moment)
    assert len(telling.agents) == agents
    if moment[0] == "state":  # the warm-ups are over
        telling.until("run", 5)
    telling.process.send_signal(signal.SIGINT)
    status, err = telling.ended()
    assert err.splitlines() == ["edgeshuffle: interrupted; nothing half-written is left."]
    assert status == 130
    assert telling.alive() == []
    assert left(folder) == ["small"]


def test_an_agent_that_dies_ends_the_bench_but_not_the_records(folder, telling):
    telling.until("state", 3)
    telling.until("run", 7)
    os.kill(telling.agents[1], signal.SIGKILL)
    status, err = telling.ended()
    assert status == DeviceError.exit_code
    assert len(err.splitlines()) == 1
    assert f"Process {telling.agents[1]} on this machine ended early (signal 9)" in err
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
