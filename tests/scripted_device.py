"""A device that plays a script, one agent a case, and the measuring of small files on it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from places import GOLDEN

from edgeshuffle.errors import (
    DeviceError,
)
from edgeshuffle.runner.bench.history import History
from edgeshuffle.runner.bench.journal import Journal
from edgeshuffle.runner.bench.plan import BenchOptions, plan
from edgeshuffle.runner.bench.protocol import run_of
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.recording import Recording
from edgeshuffle.runner.bench.run import (
    load,
    measure,
)

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
