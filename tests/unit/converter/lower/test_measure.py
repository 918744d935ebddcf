"""Costs on a device that plays a script."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgeshuffle.converter.lower import measure as module
from edgeshuffle.converter.lower.measure import ROUNDS, Cost, measure
from edgeshuffle.device import DeviceInfo
from edgeshuffle.errors import DeviceError
from edgeshuffle.progress import silent


def device(**told):
    whole = {field.name: None for field in fields(DeviceInfo)} | {"cpu": "a core", **told}
    return SimpleNamespace(describe=lambda: SimpleNamespace(**whole))


class Session:
    """An inference takes `base` ns, and every other time half as much more."""

    def __init__(self, base, log):
        self.base, self.log, self.closed, self.ran = base, log, False, 0

    def samples(self, n):
        self.log.append(self.base)
        self.ran += 1
        return SimpleNamespace(samples_ns=[10**9] * 3 + [self.base] * (n - 3))

    def count(self, n):
        return tuple({"instructions": self.base + extra} for extra in range(n, 0, -1))

    def close(self):
        self.closed = True


@pytest.fixture
def sessions(monkeypatch):
    """Sessions by the stems of their files, which are their times."""
    made, log = [], []

    def open_agent(_, file, path, **options):
        made.append(Session(int(path.stem), log))
        return made[-1]

    monkeypatch.setattr(module, "open_agent", open_agent)
    return SimpleNamespace(made=made, log=log)


def files(*bases):
    return [(SimpleNamespace(runtime="ort", precision="int8"), Path(f"{n}.onnx")) for n in bases]


def test_instructions_are_the_least_of_some_inferences(sessions):
    unit, costs = measure(device(emulated=True, counted=True), files(500, 400), silent)
    assert unit == "instructions"
    assert costs == (Cost(value=501), Cost(value=401))
    assert all(session.closed for session in sessions.made)


def test_times_are_shares_of_the_first_in_rounds(sessions):
    unit, costs = measure(device(emulated=False, counted=False), files(200, 100, 300), silent)
    assert unit == "share of time"
    assert [cost.value for cost in costs] == [1, 0.5, 1.5]
    assert costs[1].quartiles == (0.5, 0.5)
    assert all(session.closed and session.ran == ROUNDS + 1 for session in sessions.made)
    rounds = [tuple(sessions.log[i : i + 3]) for i in range(3, len(sessions.log), 3)]
    assert {tuple(sorted(order)) for order in rounds} == {(100, 200, 300)}
    assert len(set(rounds)) > 1


def test_an_emulator_that_does_not_count_is_refused(sessions):
    with pytest.raises(DeviceError, match=r"a core is emulated, .* cannot be counted"):
        measure(device(emulated=True, counted=False), files(1), silent)
    assert not sessions.made
