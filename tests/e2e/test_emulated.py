"""`bench` and `evaluate` on emulated boards: real ARM code of both runtimes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import run

from edgeshuffle.device import emulated, open_device
from edgeshuffle.errors import DeviceError, UnknownNameError
from edgeshuffle.runner.bench.reading import read_measured

pytestmark = pytest.mark.device

BOARDS = ("pi4", "pi5")


@pytest.fixture(scope="module")
def counts(demo):
    """JSON of `bench` by board."""
    found = {}
    for board in BOARDS:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "edgeshuffle", "bench", demo, "--json"),
                *("--device", f"emulated://{board}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        found[board] = json.loads(done.stdout)
    return found


def result(found, runtime, precision):
    (one,) = (r for r in found["results"] if (r["runtime"], r["precision"]) == (runtime, precision))
    return one


@pytest.mark.parametrize("runtime", ["ort", "litert"])
def test_the_pi_5_multiplies_by_dot_products_and_the_pi_4_does_not(counts, runtime):
    new, old = (result(counts[board], runtime, "int8") for board in ("pi5", "pi4"))
    assert new["dot"] > 5 * new["widening_mac"]
    assert old["dot"] == 0
    assert old["widening_mac"] > 0
    assert new["instructions"] < old["instructions"]
    assert result(counts["pi4"], runtime, "fp32")["fmla"] > old["fmla"]


def test_counts_are_whole_and_steady(counts):
    for board in BOARDS:
        assert counts[board]["device"]["label"] == "emulated, instructions only"
        assert counts[board]["device"]["machine"] == "aarch64"
        for found in counts[board]["results"]:
            assert found["verdict"] == "VALID"
            classes = ("dot", "widening_mac", "fmla", "simd_load", "simd_store", "simd_other")
            parts = (*classes, "load", "store", "branch", "other")
            assert sum(found[part] for part in parts) == found["instructions"]
        kept = read_measured(Path(counts[board]["records"])).counts
        assert len(kept) == len(counts[board]["results"])


def test_a_second_run_counts_the_same(demo, counts, capsys):
    arguments = ("bench", demo, "--device", "emulated://pi5", "--runtime", "litert", "--json")
    assert run(*arguments) == 0
    again = json.loads(capsys.readouterr().out)
    for precision in ("fp32", "int8"):
        first, second = (
            result(found, "litert", precision)["instructions"] for found in (counts["pi5"], again)
        )
        assert abs(first - second) <= 0.001 * first


def test_cycles_are_estimated_where_they_are_asked_for(small, capsys):
    if shutil.which("llvm-mca-19") is None:
        pytest.skip("llvm-19 is not installed")
    device = ("--device", "emulated://pi4", "--runtime", "litert", "--allow-invalid")
    assert run("bench", small, *device, "--cycles", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    for one in shown["results"]:
        assert one["cycles"]["core"] == "cortex-a72"
        assert one["cycles"]["modelled"] > 0.99
        # Three instructions can be issued a cycle, and some have to wait.
        assert 1 < one["instructions"] / one["cycles"]["estimate"] < 3
        first, second = one["cycles"]["misses"]
        assert first > second
        assert one["load"] + one["simd_load"] > first
    kept = read_measured(Path(shown["records"])).counts
    assert [one.cycles.estimate for one in kept] == [
        one["cycles"]["estimate"] for one in shown["results"]
    ]


def test_without_llvm_its_package_is_named(monkeypatch):
    with open_device("emulated://pi4") as device:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(DeviceError, match="install the package llvm-19"):
            device.prepare_cycles()


def test_a_device_with_times_has_no_estimate(small, capsys):
    assert run("bench", small, "--cycles") == UnknownNameError.exit_code
    assert "emulated boards only" in capsys.readouterr().err


def test_arm_computes_what_this_machine_does(demo, capsys):
    device = ("--device", "emulated://pi5", "--per-class")
    assert run("evaluate", demo, *device, "--limit", 60, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    # What was taken for what is what the device gave.
    for one, result in zip(found["mistakes"], found["results"], strict=True):
        right = sum(known["right"] for known in one["classes"])
        assert 100 * right / 60 == pytest.approx(result["top1"])
    assert found["device"]["emulated"]
    for one in found["results"]:
        assert one["n"] == 60
        assert one["device_agreement"] >= 99.5
        assert one["device_difference"] <= (2 if one["precision"] == "int8" else 1e-3)


def test_nothing_is_left_behind(demo, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_device("emulated://pi4") as device:
        assert device.describe().cpu.startswith("Raspberry Pi 4")
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_board_is_refused():
    with pytest.raises(UnknownNameError, match="Known: pi3, pi4, pi5"):
        open_device("emulated://pi9")


def test_without_qemu_the_package_is_named(monkeypatch):
    monkeypatch.setattr(emulated, "QEMU", "qemu-nowhere")
    with pytest.raises(DeviceError, match="install the package qemu-user"):
        open_device("emulated://pi5")


def test_a_registry_that_cannot_be_reached_leaves_nothing(monkeypatch, tmp_path):
    if shutil.which("qemu-aarch64") is None or shutil.which("apt-get") is None:
        pytest.skip("qemu-user or apt-get is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("edgeshuffle.payload.rootfs.MIRROR", "http://127.0.0.1:9/debian")
    with pytest.raises(DeviceError, match="apt-get cannot fetch") as caught:
        open_device("emulated://pi5")
    assert "\n" not in str(caught.value)
    assert [path.suffix for path in tmp_path.rglob("*root-*")] == [".lock"]


def test_two_boards_at_once_do_not_disturb_each_other(demo):
    script = (
        "import platform\nprint('{\"cpu\": \"%s\"}' % open('/proc/cpuinfo').read().split()[-5])"
    )
    with open_device("emulated://pi4") as first, open_device("emulated://pi5") as second:
        found = [d.spawn([d.python, "-c", script]).reply(60)["cpu"] for d in (first, second)]
    assert found == ["4", "5"]


def test_an_image_arrives_there_whole(demo):
    from edgeshuffle.artifact import Artifact
    from edgeshuffle.artifact.runtimes import RUNTIMES
    from edgeshuffle.device.session import open_agent

    artifact = Artifact.load(demo)
    file = next(
        f for f in artifact.manifest.files if (f.runtime, f.precision) == ("litert", "int8")
    )
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 64), dtype=np.float32)
    here = RUNTIMES["litert"].open_session(str(artifact.path(file)), 1).run(image)[0]
    with open_device("emulated://pi4") as device:
        there = open_agent(device, file, artifact.path(file)).run(image, [here.shape])[0]
    np.testing.assert_array_equal(here, there)


def test_a_board_is_asked_once_what_it_is():
    with open_device("emulated://pi5") as device:
        assert device.describe() is device.describe()
        assert device.describe().counted
        assert len(device._processes) == 1
