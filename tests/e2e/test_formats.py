"""Each format needs its own packages and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest
from small_models import run

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.export.describe import version_of
from edgeshuffle.errors import MissingExtraError

pytestmark = pytest.mark.slow

# Modules and distributions that are not installed, as far as the command can tell.
WITHOUT = """
import importlib.metadata, sys

absent = {absent!r}
for name in absent:
    sys.modules[name.replace("-", "_")] = None
version = importlib.metadata.version
def only_present(name):
    if name in absent:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = only_present
from edgeshuffle.cli import main
main({arguments!r})
"""


def without(absent, *arguments):
    script = WITHOUT.format(absent=list(absent), arguments=[str(a) for a in arguments])
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False
    )


LITERT = ("ai-edge-litert", "tflite-runtime", "flatbuffers")


def test_onnx_alone_needs_nothing_of_litert(tmp_path):
    small = ("--width", "0.5", "--resolution", 32, "--format", "onnx")
    done = without(LITERT, "export", *small, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert not {"ai-edge-litert", "flatbuffers"} & set(manifest["tools"])
    assert [file["runtime"] for file in manifest["proof"]["files"]] == ["ort"]


def test_a_runtime_that_is_missing_is_named_at_the_start(tmp_path):
    done = without(LITERT, "export", "--weights", tmp_path / "none.pth", "-o", tmp_path / "out")
    assert done.returncode == MissingExtraError.exit_code
    assert "ai_edge_litert" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_distribution_of_another_name_is_found_by_its_module(monkeypatch, tmp_path):
    version = metadata.version

    def gpu_only(name):
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return "1.99" if name == "onnxruntime-gpu" else version(name)

    monkeypatch.setattr(metadata, "version", gpu_only)
    monkeypatch.setattr(
        metadata, "packages_distributions", lambda: {"onnxruntime": ["onnxruntime-gpu"]}
    )
    assert version_of("onnxruntime") == "1.99"
    small = ("--width", "0.5", "--resolution", 32, "--format", "onnx")
    assert run("export", *small, "-o", tmp_path / "out") == 0
    assert (
        json.loads((tmp_path / "out/manifest.json").read_text())["tools"]["onnxruntime"] == "1.99"
    )
    monkeypatch.setattr(metadata, "packages_distributions", dict)
    assert version_of("onnxruntime") == RUNTIMES["ort"].onnxruntime.__version__
    with pytest.raises(ModuleNotFoundError):
        version_of("no-such-package")
