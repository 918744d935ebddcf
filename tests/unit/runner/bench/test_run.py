"""Plans, budgets and the measuring itself, on a device that plays a script."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN
from small_models import artifact

from edgeshuffle.errors import (
    ArtifactError,
    DeviceError,
    MissingExtraError,
    RuntimeUnavailableError,
    UnknownNameError,
)
from edgeshuffle.runner.bench.history import History
from edgeshuffle.runner.bench.journal import Journal
from edgeshuffle.runner.bench.plan import SAMPLINGS, BenchOptions, plan, rounds
from edgeshuffle.runner.bench.protocol import run_of
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.recording import Recording
from edgeshuffle.runner.bench.run import (
    SETTLED_SAMPLES,
    SWITCH_SAMPLES,
    WARMUP_SAMPLES,
    load,
    measure,
)
from edgeshuffle.runner.bench.stats import summarize
from edgeshuffle.runner.bench.verdict import judge, steady_state

RECORDS = GOLDEN / "bench"
INFO = read_measured(RECORDS / "valid.jsonl").records[0].device
FILES = [("fp32.onnx", "fp32"), ("int8.onnx", "int8"), ("fp32.tflite", "fp32")]
READY = {
    "ready": True,
    "load_ns": 10,
    "first_ns": 20,
    "runtime_version": "1.2",
    "input_shape": [1, 3, 4, 4],
    "rss_before_bytes": 30,
}
STATE = {"peak_rss_bytes": 40, "clock_khz": 50, "temperature_mc": 60, "throttled": None}
MS = 1_000_000


@dataclass
class Script:
    """What one case's agent does: `times` gives its samples, the `dies_at`-th command kills it."""

    times: object = 1 * MS
    ready: dict = field(default_factory=lambda: READY)
    dies_at: int | None = None
    answers: dict = field(default_factory=dict)

    def samples(self):
        times = self.times
        return iter(times) if not isinstance(times, int) else itertools.repeat(times)


class FakeProcess:
    where = "on the device"

    def __init__(self, script, said):
        self.script, self.said, self.samples = script, said, script.samples()
        self.asked = 0

    def reply(self, timeout):
        return self.script.ready

    def ask(self, command, timeout):
        assert timeout > 0
        self.asked += 1
        if self.asked == self.script.dies_at:
            raise DeviceError("it is gone")
        self.said((command["cmd"], command.get("n")))
        if command["cmd"] in self.script.answers:
            return self.script.answers[command["cmd"]]
        if command["cmd"] == "state":
            return STATE
        samples = list(itertools.islice(self.samples, command["n"]))
        return {"samples_ns": samples, "state": STATE}


class FakeDevice:
    python = "python-there"

    def __init__(self, *scripts):
        self.scripts, self.pushed, self.spawned, self.log = scripts, [], [], []

    def push(self, file):
        self.pushed.append(file)
        return f"there/{file.name}"

    def push_program(self, *files):
        return [self.push(file) for file in files][-1]

    def spawn(self, argv):
        index = len(self.spawned)
        self.spawned.append(argv)
        return FakeProcess(self.scripts[index], lambda what: self.log.append((index, *what)))

    def asked(self, index):
        return [tuple(what) for one, *what in self.log if one == index]


@pytest.fixture
def small(tmp_path):
    for name, _ in FILES:
        (tmp_path / name).write_bytes(name.encode())
    return artifact(tmp_path, FILES, num_classes=2, size=4)


def bench(small, device, progress=lambda *_: None, history=None, **options):
    """Measure a case for each of the device's scripts; the history, also of what fails."""
    chosen = BenchOptions(artifact=small, **options)
    subject = plan(chosen)
    cases = subject.cases[: len(device.scripts)]
    subject = replace(subject, cases=cases)
    recording = Recording(history=history or History(), journal=Journal(small.folder / "none"))
    if history is None:
        recording.keep(run_of(chosen, subject, INFO, ()))
    try:
        loaded = load(chosen, device, cases, progress)
        measure(chosen, loaded, recording, progress)
    except BaseException as err:
        err.history = recording.history
        raise
    return recording.history


def run(small, device, **options):
    """The records, and the progress."""
    seen = []
    history = bench(small, device, lambda *what: seen.append(what), **options)
    return history.records(), seen


class TestPlan:
    def test_every_file_is_a_case(self, small):
        cases = plan(BenchOptions(artifact=small)).cases
        assert [case.name for case in cases] == ["ort/fp32", "ort/int8", "litert/fp32"]
        assert [case.path for case in cases] == [small.folder / name for name, _ in FILES]

    def test_runtimes_are_chosen(self, small):
        (case,) = plan(BenchOptions(artifact=small, runtimes=("litert",))).cases
        assert case.name == "litert/fp32"

    def test_an_unknown_runtime(self, small):
        with pytest.raises(UnknownNameError, match="Did you mean 'litert'"):
            plan(BenchOptions(artifact=small, runtimes=("litrt",)))

    def test_no_file_for_a_runtime(self, tmp_path, small):
        only = artifact(tmp_path, FILES[:1], num_classes=2, size=4)
        with pytest.raises(ArtifactError, match="no model file for litert"):
            plan(BenchOptions(artifact=only, runtimes=("litert",)))

    def test_a_runtime_is_not_imported(self, small, monkeypatch):
        monkeypatch.setattr("edgeshuffle.plugins.import_module", pytest.fail)
        assert len(plan(BenchOptions(artifact=small, runtimes=("ort",))).cases) == 2


class TestRounds:
    @settings(max_examples=50, deadline=None)
    @given(cases=st.integers(1, 12), seed=st.integers(0, 2**64))
    def test_each_is_a_permutation_that_the_seed_decides(self, cases, seed):
        first = list(itertools.islice(rounds(cases, seed), 10))
        assert first == list(itertools.islice(rounds(cases, seed), 10))
        for order in first:
            assert sorted(order) == list(range(cases))

    def test_no_case_has_a_place_of_its_own(self):
        orders = list(itertools.islice(rounds(4, 0), 100))
        for place in range(4):
            assert {order[place] for order in orders} == {0, 1, 2, 3}
        assert orders != list(itertools.islice(rounds(4, 1), 100))


@pytest.mark.parametrize(
    ("mode", "samples", "seconds", "enough"),
    [
        ("quick", 127, 9.9, False),
        ("quick", 128, 0.1, True),
        ("quick", 30, 10, True),
        ("quick", 29, 1000, False),
        ("full", 1024, 59.9, False),
        ("full", 1023, 600, False),
        ("full", 1024, 60, True),
    ],
)
def test_a_budget(mode, samples, seconds, enough):
    assert (SAMPLINGS[mode].share(samples, seconds) == 1) == enough


@settings(max_examples=50, deadline=None)
@given(
    mode=st.sampled_from(list(SAMPLINGS)),
    samples=st.integers(0, 10**6),
    seconds=st.floats(0, 10**4),
)
def test_a_share_never_shrinks(mode, samples, seconds):
    sampling = SAMPLINGS[mode]
    share = sampling.share(samples, seconds)
    assert 0 <= share <= 1
    assert sampling.share(samples + 1, seconds) >= share
    assert sampling.share(samples, seconds + 1) >= share


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


class TestFailures:
    def fails(self, small, device, error, **options):
        with pytest.raises(error) as caught:
            bench(small, device, **options)
        assert len(str(caught.value).splitlines()) <= 1
        return str(caught.value), caught.value.history

    def test_a_device_that_dies_leaves_what_was_measured(self, small):
        # The first is finished by then, the second is in its 7th block, the third ends it.
        device = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(2 * MS, dies_at=2 + 7))
        message, history = self.fails(small, device, DeviceError)
        assert message == "it is gone"
        done, second, third = history.records()
        assert done.finished
        assert len(done.blocks) == 4
        assert (second.precision, third.runtime) == ("int8", "litert")
        assert len(second.blocks) in (6, 7)
        assert third.blocks == ((2 * MS,) * 8,) * 6
        for record in (second, third):
            assert not record.finished
            assert record.after is record.peak_rss_bytes is None

    def test_a_rerun_goes_on_where_the_device_was_lost(self, small):
        lost = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(2 * MS, dies_at=2 + 7))
        _, history = self.fails(small, lost, DeviceError)
        done, second, third = history.records()
        device = FakeDevice(Script(7 * MS), Script(1 * MS), Script(3 * MS))
        bench(small, device, history=history)
        records = history.records()
        assert records[0] == done
        assert device.asked(0) == []
        assert records[1].blocks[: len(second.blocks)] == second.blocks
        assert [len(record.blocks) for record in records[1:]] == [16, 16]
        assert records[2].blocks == ((2 * MS,) * 8,) * 6 + ((3 * MS,) * 8,) * 10
        assert all(record.finished for record in records)
        assert records[2].started == third.started

    @pytest.mark.parametrize("script", [Script(dies_at=1), Script(ready={"error": "no memory"})])
    def test_a_device_that_is_lost_before_the_first_block_takes_nothing_away(self, small, script):
        lost = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(2 * MS, dies_at=2 + 7))
        _, history = self.fails(small, lost, DeviceError)
        before = history.records()
        with pytest.raises((DeviceError, RuntimeUnavailableError)):
            bench(small, FakeDevice(Script(), script, Script()), history=history)
        assert [record.blocks for record in history.records()] == [one.blocks for one in before]

    def test_samples_of_another_runtime_are_not_mixed(self, small):
        _, history = self.fails(small, FakeDevice(Script(2 * MS, dies_at=2 + 7)), DeviceError)
        other = Script(3 * MS, ready={**READY, "runtime_version": "2"})
        with pytest.raises(DeviceError, match="another version of a runtime"):
            bench(small, FakeDevice(other), history=history)

    def test_a_case_without_a_block_has_no_record(self, small):
        _, history = self.fails(small, FakeDevice(Script(dies_at=3)), DeviceError)
        assert history.records() == ()

    def test_a_device_that_dies_at_the_last_question(self, small):
        _, history = self.fails(small, FakeDevice(Script(dies_at=2 + 16 + 1)), DeviceError)
        (record,) = history.records()
        assert len(record.blocks) == 16
        assert not record.finished
        # No block too many is measured when it goes on.
        bench(small, FakeDevice(Script()), history=history)
        (record,) = history.records()
        assert len(record.blocks) == 16
        assert record.finished

    def test_an_inference_that_fails(self, small):
        script = Script(answers={"run": {"error": "RuntimeError: no arena"}})
        message, _ = self.fails(small, FakeDevice(Script(), script), DeviceError)
        assert message.startswith("ort/int8 failed")
        assert "(RuntimeError: no arena)" in message

    @pytest.mark.parametrize("samples", [[], [1] * 3, [0] * SETTLED_SAMPLES])
    def test_a_device_that_gives_no_times(self, small, samples):
        script = Script(answers={"run": {"samples_ns": samples, "state": STATE}})
        self.fails(small, FakeDevice(script), DeviceError)

    def test_a_runtime_that_is_not_installed(self, small):
        ready = {"error": "ModuleNotFoundError: x", "missing": "onnxruntime"}
        message, _ = self.fails(small, FakeDevice(Script(ready=ready)), MissingExtraError)
        assert "needs the package 'onnxruntime': pip install 'edgeshuffle[runtime]'" in message

    def test_a_model_that_its_runtime_refuses(self, small):
        ready = {"error": "ValueError: not a valid Flatbuffer"}
        device = FakeDevice(Script(), Script(ready=ready))
        message, _ = self.fails(small, device, RuntimeUnavailableError)
        assert f"ort cannot run {small.folder / 'int8.onnx'} (ValueError: not a val" in message

    def test_an_interruption_keeps_every_whole_block(self, small):
        def interrupt(stage, done, total):
            if stage == "measure" and done >= 150:
                raise KeyboardInterrupt

        device = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(1 * MS))
        _, history = self.fails(small, device, KeyboardInterrupt, progress=interrupt)
        assert [record.finished for record in history.records()] == [True, False, False]
        assert all(len(record.blocks) >= 4 for record in history.records())


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
