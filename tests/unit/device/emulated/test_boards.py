"""What emulated boards show of themselves, as the agent and the runtimes read it."""

from __future__ import annotations

import os
import re

import pytest

from edgeshuffle.agent import probe
from edgeshuffle.device.emulated.boards import BOARDS, CORES, write_board


@pytest.fixture(params=BOARDS)
def board(request, tmp_path):
    write_board(BOARDS[request.param], tmp_path)
    return BOARDS[request.param], tmp_path


def test_every_core_is_the_boards(board):
    known, root = board
    cores = (root / "proc/cpuinfo").read_text().split("\n\n")
    fields = [dict(re.findall(r"^([^\t:]+)\s*: (.*)$", core, re.MULTILINE)) for core in cores]
    assert [core["processor"] for core in fields[:CORES]] == [str(one) for one in range(CORES)]
    for core in fields[:CORES]:
        assert int(core["CPU part"], 16) == known.part
        assert int(core["CPU variant"], 16) == known.variant
        assert core["Features"] == known.features
        # Boards with dot products are those whose kernels runtimes choose for them.
        assert ("asimddp" in core["Features"]) == (known.qemu_cpu == "cortex-a76")
    assert (root / "sys/firmware/devicetree/base/model").read_text() == f"{known.model}\n"


def test_cores_are_alike_and_their_clock_stands_still(board, monkeypatch):
    known, root = board
    cpus = root / "sys/devices/system/cpu"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)))
    assert probe.clusters(cpus) == [list(range(CORES))]
    assert probe.clock_khz(cpus) is None
    limits = {(path.name, path.read_text().strip()) for path in cpus.glob("cpu*/cpufreq/*_freq")}
    assert limits == {
        (f"{who}_{end}_freq", str(khz))
        for who in ("cpuinfo", "scaling")
        for end, khz in (("min", known.min_khz), ("max", known.max_khz))
    }
