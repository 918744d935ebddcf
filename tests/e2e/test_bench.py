"""`edgeshuffle bench` on tiny real models: what is printed, kept, refused, and left running."""

from __future__ import annotations

import json
import platform
import re
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_models import THREE_MODELS, artifact, run, three_models

from edgeshuffle.errors import (
    ArtifactError,
    GateError,
    MissingExtraError,
    RuntimeUnavailableError,
    UnknownNameError,
)
from edgeshuffle.runner.bench import protocol
from edgeshuffle.runner.bench.plan import SAMPLINGS
from edgeshuffle.runner.bench.reading import read_measured

pytestmark = pytest.mark.slow

NAMES = [("ort", "fp32"), ("ort", "int8"), ("litert", "fp32")]


@pytest.fixture
def folder(tmp_path):
    return three_models(tmp_path / "build" / "small")


def make(folder, files=THREE_MODELS):
    return artifact(folder, files, num_classes=10, size=4)


def kept(folder):
    """The records of the only file beside the artifact."""
    (path,) = (folder.parent / "bench").iterdir()
    return path, read_measured(path).records


def left(folder):
    return sorted(path.name for path in folder.parent.iterdir())


def test_json_has_every_file_and_nothing_else(folder, capsys):
    assert run("bench", folder, "--json", "--seed", 3, "--allow-invalid") == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert (found["model"], found["mode"], found["seed"]) == ("small", "quick", 3)
    assert found["device"]["hostname"] == platform.node()
    assert found["device"]["kernel"] == platform.release()
    assert [(one["runtime"], one["precision"]) for one in found["results"]] == NAMES
    for one in found["results"]:
        assert one["n"] == 128
        assert one["first_ms"] > 0
        assert one["load_ms"] > 0
        assert one["peak_rss_bytes"] > 2**20
        assert one["bytes"] == (folder / one["file"]).stat().st_size
        assert one["verdict"] == ("INVALID" if one["reasons"] else "VALID")
        assert 0 < one["p50_ms"]["low"] <= one["p50_ms"]["value"] <= one["p50_ms"]["high"]
        # 128 samples cannot tell how far p99 may be off.
        assert one["p99_ms"]["low"] is one["p99_ms"]["high"] is None
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
        assert one["p50_ms"]["value"] == pytest.approx(np.percentile(record.blocks, 50) / 1e6)
        assert record.finished
        assert record.seed == 3
        assert len(record.warmup_ns) >= 20


def test_the_table_of_the_newest_artifact_and_one_runtime(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    # What this machine does meanwhile decides the verdict, so none of its limits may matter here.
    monkeypatch.setattr("edgeshuffle.runner.bench.verdict.SPREAD", 0)
    assert run("bench", "--runtime", "ort", "--threads", 2) == GateError.exit_code
    out, err = capsys.readouterr()
    assert err == (
        "edgeshuffle: INVALID: ort fp32, ort int8. Do not quote these numbers: mend what the "
        "report names and measure again, or end with 0 all the same by --allow-invalid.\n"
    )
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
    make(folder, THREE_MODELS[2:])
    monkeypatch.setitem(SAMPLINGS, "full", replace(SAMPLINGS["full"], seconds=0.001))
    assert run("bench", folder, "--full", "--json", "--allow-invalid") == 0
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
        "option",
        [
            ("--runtime", "coreml"),
            ("--threads", 0),
            ("--threads", 10**6),
            ("--seed", -1),
            ("--seed", 2**70),
            ("--sustained", "nan"),
            ("--sustained", "inf"),
            ("--sustained", 1e9),
            ("--slow",),
            ("--quick", "--full"),
            ("--full", "--sustained", 1),
        ],
    )
    def test_a_bad_option(self, folder, capsys, option):
        assert run("bench", folder, *option) == 2
        assert option[0] in capsys.readouterr().err
        assert left(folder) == ["small"]

    def test_no_artifact(self, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.refused(capsys, ArtifactError, "no artifact under build/")
        self.refused(capsys, ArtifactError, "no manifest.json", tmp_path)
        self.refused(capsys, ArtifactError, "There is no", tmp_path / "absent")

    def test_no_file_for_the_runtime(self, folder, capsys):
        make(folder, THREE_MODELS[:2])
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

    @pytest.mark.parametrize("full", [500, 2000])
    def test_a_full_disk(self, folder, full):
        # A short warm-up leaves room for blocks.
        script = (
            "import sys\nfrom edgeshuffle.runner.bench import run\n"
            "from edgeshuffle.cli import main\n"
            "sys.modules['edgeshuffle.runner.bench.run'].SETTLED_VARIATION = 9\nmain(sys.argv[1:])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "bench", folder, "--runtime", "litert"],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
            check=False,
        )
        assert done.returncode == ArtifactError.exit_code
        assert re.search(r"^ litert fp32( +[\d.]+){3} ", done.stdout, re.MULTILINE)
        assert len(done.stderr.splitlines()) == 1
        assert "Cannot write all records" in done.stderr
        assert "What was measured is shown but not kept. Make room" in done.stderr
        if full == 500:
            assert left(folder) == ["small"]
        else:
            _, (record,) = kept(folder)
            assert 0 < len(record.blocks) < 16

    @pytest.mark.parametrize("cores", ["0-9999999999", "9" * 5000, "\x1b[31m", "4-2"])
    def test_cores_that_are_not_there(self, folder, capsys, cores):
        arguments = (folder, "--cores", cores)
        self.refused(capsys, UnknownNameError, "cores", *arguments)
        assert left(folder) == ["small"]

    def test_records_to_compare_with_are_looked_at_before_measuring(
        self, folder, capsys, tmp_path, monkeypatch
    ):
        assert run("bench", folder, "--runtime", "litert", "--allow-invalid") == 0
        capsys.readouterr()
        path, _ = kept(folder)
        monkeypatch.setattr("edgeshuffle.runner.bench.protocol.load", pytest.fail)
        other = (folder, "--threads", 2, "--against", path)
        self.refused(capsys, ArtifactError, "cannot be compared: threads is 2 in one", *other)
        (tmp_path / "bad.jsonl").write_text("{}\n")
        bad = (folder, "--against", tmp_path / "bad.jsonl")
        self.refused(capsys, ArtifactError, "holds no records of a bench", *bad)


def test_a_file_that_changes_while_it_is_loaded_is_not_measured(folder, monkeypatch, capsys):
    load = protocol.load

    def load_and_change(*given, **named):
        loaded = load(*given, **named)
        (folder / "model_int8.onnx").write_bytes(b"another model")
        return loaded

    monkeypatch.setattr(protocol, "load", load_and_change)
    assert run("bench", folder) == ArtifactError.exit_code
    assert "was changed" in capsys.readouterr().err
    assert left(folder) == ["small"]
