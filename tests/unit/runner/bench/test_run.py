"""The measuring itself, on a device that plays a script."""

from __future__ import annotations

import itertools
import sys

import pytest
from scripted_device import (
    INFO,
    MS,
    FakeDevice,
    Script,
    run,
)

from edgeshuffle.runner.bench.plan import SAMPLINGS, rounds
from edgeshuffle.runner.bench.run import (
    SETTLED_SAMPLES,
    SWITCH_SAMPLES,
    WARMUP_SAMPLES,
)
from edgeshuffle.runner.bench.stats import summarize
from edgeshuffle.runner.bench.verdict import judge, steady_state


@pytest.mark.parametrize(
    ("mode", "time", "blocks"),
    [
        ("quick", 1 * MS, 16),  # 128 samples
        ("quick", 100 * MS, 13),  # 10 s
        ("quick", 5000 * MS, 4),  # no fewer than 30 samples
        ("full", 100 * MS, 32),  # 1024 samples
        ("full", 10 * MS, 188),  # 60 s
    ],
)
def test_measuring_stops_when_the_budget_is_met(small, mode, time, blocks):
    (record,), _ = run(small, FakeDevice(Script(time)), mode=mode)
    assert record.blocks == ((time,) * SAMPLINGS[mode].block,) * blocks


def test_a_record_has_what_the_agent_and_the_manifest_said(small):
    (_, record), _ = run(small, FakeDevice(Script(), Script()), threads=3, seed=9)
    file = small.manifest.files[1]
    assert record.manifest_sha256 == small.manifest_sha256
    assert (record.model, record.device) == ("small", INFO)
    assert (record.runtime, record.runtime_version, record.precision) == ("ort", "1.2", "int8")
    assert (record.file, record.file_sha256, record.bytes) == (file.path, file.sha256, file.bytes)
    assert (record.threads, record.seed, record.mode) == (3, 9, "quick")
    assert (record.load_ns, record.first_ns, record.rss_before_bytes) == (10, 20, 30)
    assert record.before == record.after
    assert (record.after.clock_khz, record.after.temperature_mc) == (50, 60)
    assert (record.peak_rss_bytes, record.finished) == (40, True)


def test_agents_are_started_with_what_they_need(small):
    device = FakeDevice(Script(), Script(), Script())
    run(small, device, threads=2, seed=5)
    pushed = [file.name for file in device.pushed[-5:]]
    assert pushed == ["litert.py", "power.py", "probe.py", "agent.py", "fp32.tflite"]
    assert device.spawned[-1] == [
        *("python-there", "there/agent.py", "--runtime", "litert"),
        *("--model", "there/fp32.tflite", "--threads", "2", "--seed", "5"),
    ]


def test_cases_take_turns_as_the_seed_says(small):
    device = FakeDevice(Script(), Script(), Script())
    run(small, device, seed=4)
    timed = SAMPLINGS["quick"].block + SWITCH_SAMPLES
    turns = [index for index, *what in device.log if what == ["run", timed]]
    expected = itertools.chain.from_iterable(itertools.islice(rounds(3, 4), 16))
    assert turns == list(expected)


def test_inferences_right_after_a_switch_are_not_kept(small):
    def times():
        yield from [5 * MS] * SETTLED_SAMPLES
        while True:
            yield from [9 * MS] * SWITCH_SAMPLES
            yield from [5 * MS] * SAMPLINGS["quick"].block

    (record,), _ = run(small, FakeDevice(Script(times())))
    assert set(itertools.chain.from_iterable(record.blocks)) == {5 * MS}


def test_a_case_that_is_finished_is_not_asked_again(small):
    device = FakeDevice(Script(1 * MS), Script(5000 * MS))
    records, _ = run(small, device)
    assert [len(record.blocks) for record in records] == [16, 4]
    assert [len([what for what in device.asked(one) if what[0] == "state"]) for one in (0, 1)] == [
        2,
        2,
    ]
    for one in (0, 1):
        assert device.asked(one)[-1] == ("state", None)
    assert {index for index, *_ in device.log[-10:]} == {0}


class TestWarmUp:
    def warmup(self, small, times, mode="quick"):
        (record,), _ = run(small, FakeDevice(Script(times)), mode=mode)
        return record.warmup_ns

    def test_ends_at_once_where_nothing_varies(self, small):
        assert self.warmup(small, 1 * MS) == (1 * MS,) * SETTLED_SAMPLES

    def test_ends_when_times_have_settled(self, small):
        unsettled = [3 * MS, 1 * MS] * (2 * SETTLED_SAMPLES)
        times = itertools.chain(unsettled, itertools.repeat(1 * MS))
        assert self.warmup(small, times) == (*unsettled, *(1 * MS,) * SETTLED_SAMPLES)

    @pytest.mark.parametrize(("mode", "seconds"), [("quick", 2), ("full", 10)])
    def test_ends_when_its_time_is_over(self, small, mode, seconds):
        found = self.warmup(small, itertools.cycle([100 * MS, 200 * MS]), mode)
        assert seconds <= sum(found) / 1e9 < seconds + SETTLED_SAMPLES * 0.2

    def test_ends_for_a_tiny_model_too(self, small):
        assert len(self.warmup(small, itertools.cycle([1000, 2000]))) == WARMUP_SAMPLES


def test_progress_goes_on_to_the_end(small):
    _, seen = run(small, FakeDevice(Script(), Script(100 * MS)))
    assert [what[0] for what in itertools.islice(seen, 4)] == ["load", "load", "warm up", "warm up"]
    measured = [done for stage, done, total in seen if stage == "measure" and total == 200]
    assert measured == sorted(measured)
    assert measured[-1] == 200


def test_a_manifest_that_goes_while_measuring_does_no_harm(small):
    manifest = small.folder / "manifest.json"

    def times():
        yield from [1 * MS] * SETTLED_SAMPLES
        manifest.unlink()
        yield from itertools.repeat(1 * MS)

    sha256 = small.manifest_sha256
    (record,), _ = run(small, FakeDevice(Script(times())))
    assert not manifest.exists()
    assert record.manifest_sha256 == sha256


class TestSustained:
    @pytest.mark.parametrize("time", [1 * MS, 20 * MS])
    def test_a_short_one_has_the_samples_that_its_verdict_asks_for(self, small, time):
        (record,), _ = run(small, FakeDevice(Script(time)), mode="sustained", minutes=0.001)
        verdict = judge(record, summarize(steady_state(record)))
        assert verdict.reasons == ()
        assert sum(map(len, steady_state(record))) == SAMPLINGS["sustained"].counted == 256

    def test_one_takes_the_time_that_it_was_given(self, small):
        (record,), _ = run(small, FakeDevice(Script(10 * MS)), mode="sustained", minutes=1)
        assert 60 <= sum(map(sum, record.blocks)) / 1e9 < 60.4

    def test_the_samples_of_a_tiny_model_are_bounded(self, small, monkeypatch):
        # `edgeshuffle.runner.bench.plan` is the function, too.
        monkeypatch.setattr(sys.modules["edgeshuffle.runner.bench.plan"], "MAX_SAMPLES", 3200)
        (record,), _ = run(small, FakeDevice(Script(1000)), mode="sustained", minutes=60)
        assert sum(map(len, record.blocks)) == 3200
