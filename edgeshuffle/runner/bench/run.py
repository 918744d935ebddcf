"""Runs a plan: one process a case, warmed up, then timed in interleaved blocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edgeshuffle.device.session import AgentSession, open_agent
from edgeshuffle.runner.bench.events import Block, Finished, Loaded, WarmedUp
from edgeshuffle.runner.bench.plan import rounds, sampling
from edgeshuffle.runner.bench.record import Energy, OperatorTime, State
from edgeshuffle.runner.bench.stats import variation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeshuffle.device import Device, replies
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.bench.events import Event
    from edgeshuffle.runner.bench.history import FileHistory
    from edgeshuffle.runner.bench.plan import Case, Conditions, Sampling
    from edgeshuffle.runner.bench.recording import Recording

    Keep = Callable[[Event], None]

SETTLED_SAMPLES: Final = 20
SETTLED_VARIATION: Final = 0.02
# Keeps the record of a model that takes microseconds and never settles from growing huge.
WARMUP_SAMPLES: Final = 10_000
# The first inferences after another model's block find that model in the caches and are slower:
# they would measure the interleaving, so they are run and forgotten.
SWITCH_SAMPLES: Final = 3
PROFILED: Final = 20
POWER_SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Loading:
    """A case whose process has its model loaded; `started` is when that began."""

    case: Case
    session: AgentSession
    started: str

    @property
    def runtime_version(self) -> str:
        """As the runtime itself says."""
        return self.session.ready.runtime_version


def load(
    options: Conditions,
    device: Device,
    cases: Sequence[Case],
    progress: Progress,
    *,
    cores: tuple[int, ...] = (),
) -> tuple[Loading, ...]:
    """A process with its model loaded for every case.

    Raises MissingExtraError, RuntimeUnavailableError and DeviceError.
    """
    loaded = []
    for index, case in enumerate(cases):
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
        loaded.append(Loading(case=case, session=session, started=started))
    return tuple(loaded)


def measure(
    options: Conditions,
    loaded: Sequence[Loading],
    recording: Recording,
    progress: Progress,
    *,
    has_power: bool = False,
) -> None:
    """Measure until every case is finished, and record each event as it happens.

    Cases that the recording has samples of go on where those ended, and finished ones are left
    alone.
    Raises DeviceError.
    """
    limit = sampling(options, len(loaded))
    history, keep = recording.history, recording.keep
    running = {
        index: _Running(index=index, session=one.session, past=history.files[index], keep=keep)
        for index, one in enumerate(loaded)
        if history.files[index].finished is None
    }
    for index, one in running.items():
        one.load(loaded[index].started)
    for index, one in running.items():
        progress("warm up", index, len(loaded))
        one.warm_up(limit)
    for order in rounds(len(loaded), options.seed):
        for index in order:
            if index not in running or running[index].past.finished is not None:
                continue
            # A run that was cut off may have had all blocks.
            if running[index].share(limit) < 1:
                running[index].add_block(limit.block)
            if running[index].share(limit) >= 1:
                running[index].finish(profile=options.profile, has_power=has_power)
        shares = [one.share(limit) for one in running.values()]
        done = int(100 * (sum(shares) + len(loaded) - len(running)))
        progress("measure", done, 100 * len(loaded))
        if history.complete:
            break


@dataclass(frozen=True, kw_only=True)
class _Running:
    """A case that is measured; what was measured is in `past`."""

    index: int
    session: AgentSession
    past: FileHistory
    keep: Keep

    def load(self, started: str) -> None:
        ready = self.session.ready
        self.keep(
            Loaded(
                file=self.index,
                runtime_version=ready.runtime_version,
                load_ns=ready.load_ns,
                first_ns=ready.first_ns,
                rss_before_bytes=ready.rss_before_bytes,
                started=started,
            )
        )

    def warm_up(self, sampling: Sampling) -> None:
        """Run until the last samples hardly vary or the time is over."""
        warmup: list[int] = []
        settled = False
        while not settled:
            last, _ = self._samples(SETTLED_SAMPLES)
            warmup += last
            settled = (
                variation(last) < SETTLED_VARIATION
                or sum(warmup) >= sampling.warmup_seconds * 1e9
                or len(warmup) >= WARMUP_SAMPLES
            )
        state, _ = self._now()
        self.keep(WarmedUp(file=self.index, warmup_ns=tuple(warmup), state=state))

    def add_block(self, size: int) -> None:
        samples, state = self._samples(SWITCH_SAMPLES + size)
        self.keep(
            Block(
                file=self.index,
                index=len(self.past.blocks),
                samples_ns=tuple(samples[SWITCH_SAMPLES:]),
                state=state,
            )
        )

    def share(self, sampling: Sampling) -> float:
        return sampling.share(len(self.past.blocks) * sampling.block, self.past.spent_ns / 1e9)

    def finish(self, *, profile: bool, has_power: bool) -> None:
        state, peak_rss_bytes = self._now()
        operators: tuple[OperatorTime, ...] = ()
        energy = None
        # After the memory was looked at, which a profile needs, too.
        if profile:
            operators = tuple(
                OperatorTime(name=one.name, op=one.op, ns=one.ns)
                for one in self.session.profile(PROFILED)
            )
        if has_power:
            told = self.session.energy(POWER_SECONDS)
            if told.busy_mw is not None and told.idle_mw is not None and told.inferences:
                energy = Energy(
                    idle_mw=told.idle_mw,
                    busy_mw=told.busy_mw,
                    inferences=told.inferences,
                    seconds=told.seconds,
                )
        self.keep(
            Finished(
                file=self.index,
                state=state,
                peak_rss_bytes=peak_rss_bytes,
                operators=operators,
                energy=energy,
            )
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
