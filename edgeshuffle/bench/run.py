"""Runs a plan: one process a case, warmed up, then timed in interleaved blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edgeshuffle.bench.plan import budget, rounds
from edgeshuffle.bench.record import Energy, OperatorTime, Record, State
from edgeshuffle.bench.stats import variation
from edgeshuffle.device.session import AgentSession, open_agent
from edgeshuffle.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeshuffle.bench.plan import BenchOptions, Budget, Case
    from edgeshuffle.device import Device, DeviceInfo, replies

    Progress = Callable[[str, int, int], None]

SETTLED_SAMPLES: Final = 20
SETTLED_VARIATION: Final = 0.02
# Keeps the record of a model that takes microseconds and never settles from growing huge.
WARMUP_SAMPLES: Final = 10_000
# The first inferences after another model's block find that model in the caches and are slower:
# they would measure the interleaving, so they are run and forgotten.
SWITCH_SAMPLES: Final = 3
PROFILED: Final = 20
POWER_SECONDS: Final = 2.0


def measure(
    options: BenchOptions,
    device: Device,
    info: DeviceInfo,
    cases: Sequence[Case],
    keep: Callable[[Record], None],
    progress: Progress,
    *,
    cores: tuple[int, ...] = (),
    has_power: bool = False,
    earlier: Sequence[Record] = (),
) -> tuple[Record, ...]:
    """Records in the order of `cases`; `keep` gets each as soon as its case is finished.

    Cases that `earlier` records broke off in go on where those ended; finished ones are taken over.

    Where the device fails, `keep` gets what there is of the others before DeviceError is raised.
    Raises MissingExtraError and RuntimeUnavailableError too.
    """
    limit = budget(options, len(cases))
    conditions = _Conditions(options, info, cores, options.artifact.manifest_sha256, has_power)
    known = {record.file: record for record in earlier}
    records: dict[int, Record] = {}
    running: dict[int, _Running] = {}
    for index, case in enumerate(cases):
        before = known.get(case.file.path)
        if before is not None and before.finished:
            records[index] = before
            keep(before)
            continue
        progress("load", index, len(cases))
        started = datetime.now(UTC).isoformat()
        session = open_agent(
            device,
            case.file,
            case.path,
            threads=options.threads,
            cores=cores,
            seed=options.seed,
        )
        running[index] = _Running(case=case, session=session, started=started)
        if before is not None:
            running[index].go_on(before)
    try:
        for index, one in running.items():
            progress("warm up", index, len(cases))
            one.warm_up(limit)
        for order in rounds(len(cases), options.seed):
            for index in order:
                if index in records:
                    continue
                running[index].add_block(limit.block)
                if running[index].share(limit) >= 1:
                    running[index].finish(conditions)
                    records[index] = running[index].record(conditions)
                    keep(records[index])
            shares = [one.share(limit) for one in running.values()]
            done = int(100 * (sum(shares) + len(cases) - len(running)))
            progress("measure", done, 100 * len(cases))
            if len(records) == len(cases):
                break
    except DeviceError:
        for index, one in running.items():
            if index not in records and one.blocks:
                keep(one.record(conditions))
        raise
    return tuple(records[index] for index in range(len(cases)))


@dataclass(frozen=True)
class _Conditions:
    """What all cases have in common."""

    options: BenchOptions
    info: DeviceInfo
    cores: tuple[int, ...]
    manifest_sha256: str
    has_power: bool


@dataclass(kw_only=True)
class _Running:
    """A case whose process has its model loaded."""

    case: Case
    session: AgentSession
    started: str
    warmup: list[int] = field(default_factory=list)
    blocks: list[tuple[int, ...]] = field(default_factory=list)
    spent_ns: int = 0
    during: list[State] = field(default_factory=list)
    before: State | None = None
    after: State | None = None
    peak_rss_bytes: int | None = None
    operators: tuple[OperatorTime, ...] = ()
    energy: Energy | None = None

    def go_on(self, earlier: Record) -> None:
        """Start from the samples of an earlier run, if its runtime was the same."""
        if earlier.runtime_version == self.session.ready.runtime_version:
            self.blocks, self.during = list(earlier.blocks), list(earlier.during)
            self.spent_ns = sum(map(sum, earlier.blocks))
            self.before, self.started = earlier.before, earlier.started

    def warm_up(self, budget: Budget) -> None:
        """Run until the last samples hardly vary or the time is over."""
        settled = False
        while not settled:
            last, _ = self._samples(SETTLED_SAMPLES)
            self.warmup += last
            settled = (
                variation(last) < SETTLED_VARIATION
                or sum(self.warmup) >= budget.warmup_seconds * 1e9
                or len(self.warmup) >= WARMUP_SAMPLES
            )
        state, _ = self._now()
        self.before = self.before or state

    def add_block(self, size: int) -> None:
        samples, state = self._samples(SWITCH_SAMPLES + size)
        block = samples[SWITCH_SAMPLES:]
        self.blocks.append(tuple(block))
        self.spent_ns += sum(block)
        self.during.append(state)

    def share(self, budget: Budget) -> float:
        return budget.share(len(self.blocks) * budget.block, self.spent_ns / 1e9)

    def finish(self, conditions: _Conditions) -> None:
        self.after, self.peak_rss_bytes = self._now()
        # After the memory was looked at, which a profile needs, too.
        if conditions.options.profile:
            self.operators = tuple(
                OperatorTime(name=one.name, op=one.op, ns=one.ns)
                for one in self.session.profile(PROFILED)
            )
        if conditions.has_power:
            told = self.session.energy(POWER_SECONDS)
            if told.busy_mw is not None and told.idle_mw is not None and told.inferences:
                self.energy = Energy(
                    idle_mw=told.idle_mw,
                    busy_mw=told.busy_mw,
                    inferences=told.inferences,
                    seconds=told.seconds,
                )

    def record(self, conditions: _Conditions) -> Record:
        assert self.before is not None
        options = conditions.options
        return Record(
            manifest_sha256=conditions.manifest_sha256,
            model=options.artifact.manifest.model,
            device=conditions.info,
            runtime=self.case.file.runtime,
            runtime_version=self.session.ready.runtime_version,
            precision=self.case.file.precision,
            file=self.case.file.path,
            file_sha256=self.case.file.sha256,
            bytes=self.case.file.bytes,
            threads=options.threads,
            cores=conditions.cores,
            seed=options.seed,
            mode=options.mode,
            load_ns=self.session.ready.load_ns,
            first_ns=self.session.ready.first_ns,
            warmup_ns=tuple(self.warmup),
            blocks=tuple(self.blocks),
            rss_before_bytes=self.session.ready.rss_before_bytes,
            peak_rss_bytes=self.peak_rss_bytes,
            before=self.before,
            during=tuple(self.during),
            operators=self.operators,
            energy=self.energy,
            after=self.after,
            started=self.started,
            finished=self.after is not None,
        )

    def _samples(self, n: int) -> tuple[list[int], State]:
        ran = self.session.samples(n)
        return list(ran.samples_ns), _state(ran.state)

    def _now(self) -> tuple[State, int]:
        told = self.session.state()
        return _state(told), told.peak_rss_bytes


def _state(told: replies.State) -> State:
    return State(
        clock_khz=told.clock_khz, temperature_mc=told.temperature_mc, throttled=told.throttled
    )
