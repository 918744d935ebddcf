"""What a device shows of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgeshuffle.agent import probe


def test_the_fastest_cores_clock(tmp_path):
    assert probe.clock_khz(tmp_path) is None
    for index, text in enumerate(["600000\n", "1500000\n", "junk", ""]):
        folder = tmp_path / f"cpu{index}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(text)
    assert probe.clock_khz(tmp_path) == 1_500_000


@pytest.mark.parametrize(
    ("zones", "hottest"),
    [
        ([], None),
        ([("gpu-thermal", "70000"), ("cpu-thermal", "48000")], 48_000),
        ([("CPU0", "48000"), ("CPU1", "49000")], 49_000),
        ([("gpu-thermal", "70000"), ("battery", "30000")], 70_000),
        ([("cpu-thermal", "0"), ("other", "40000")], 40_000),
        ([("cpu-thermal", "-273000"), ("cpu-2", "999999"), ("cpu-3", "?")], None),
    ],
)
def test_the_hottest_cpu_zone(tmp_path, zones, hottest):
    for index, (kind, temperature) in enumerate(zones):
        folder = tmp_path / f"thermal_zone{index}"
        folder.mkdir()
        (folder / "type").write_text(kind + "\n")
        (folder / "temp").write_text(temperature + "\n")
    assert probe.temperature_mc(tmp_path) == hottest


def test_memory_that_was_used_once_stays_in_the_peak():
    code = (
        "import numpy as np\n"
        "from edgeshuffle.agent.probe import peak_rss_bytes\n"
        "print(peak_rss_bytes())\n"
        "np.ones(2**26, np.uint8)\n"
        "print(peak_rss_bytes())\n"
    )
    before, after = map(int, subprocess.check_output([sys.executable, "-c", code]).split())
    assert 2**20 < before <= after - 2**25


@pytest.mark.parametrize("file", ["cpu_capacity", "cpufreq/cpuinfo_max_freq"])
def test_clusters_are_told_apart_by_what_the_kernel_shows(tmp_path, monkeypatch, file):
    monkeypatch.setattr(probe, "_is_arm", lambda: True)
    monkeypatch.setattr(probe.os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 5})
    for core, speed in enumerate((900, 400, 900, 400, 100)):
        path = tmp_path / f"cpu{core}" / file
        path.parent.mkdir(parents=True)
        path.write_text(f"{speed}\n")
    assert probe.clusters(tmp_path) == [[5], [1, 3], [0, 2]]


def test_a_user_without_a_home_is_described_all_the_same(monkeypatch):
    def no_entry():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(probe.Path, "home", no_entry)
    assert probe.describe()["free_bytes"] is None
