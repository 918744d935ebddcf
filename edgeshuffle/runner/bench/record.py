"""What is kept of one model file: every raw sample and what is needed to trust or doubt it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from edgeshuffle.device import DeviceInfo
from edgeshuffle.device.cycles import Cycles
from edgeshuffle.runner.bench.plan import Mode
from edgeshuffle.runner.files import Batch, NamedFile

# Beyond these, numbers are not what was measured, and arithmetic with them may fail.
Natural = Annotated[int, Meta(ge=0, le=2**53)]
Nanoseconds = Annotated[int, Meta(ge=1, le=10**15)]
Threads = Annotated[int, Meta(ge=1, le=4096)]
Core = Annotated[int, Meta(ge=0, le=65535)]
Power = Annotated[float, Meta(ge=0, le=1e9)]
Minutes = Annotated[float, Meta(ge=0, le=1e6)]


@dataclass(frozen=True, kw_only=True)
class State:
    """Clock in kHz, temperature in thousandths of a degree Celsius, throttle bits, where shown.

    The bits are a Raspberry Pi's: 0 to 3 for under-voltage, capped clock, throttled and soft
    temperature limit now, 16 to 19 for the same since the board was started.
    """

    clock_khz: Natural | None
    temperature_mc: Annotated[int, Meta(ge=-(2**31), le=2**31)] | None
    throttled: Natural | None = None


@dataclass(frozen=True, kw_only=True)
class OperatorTime:
    """Mean time of one operator of the model that the runtime made."""

    name: str
    op: str
    ns: Natural


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Mean power of the whole board while idle and while inferring, over so many inferences."""

    idle_mw: Power
    busy_mw: Power
    inferences: Annotated[int, Meta(ge=1, le=2**53)]
    seconds: Annotated[float, Meta(ge=0, le=1e6)]

    @property
    def mj(self) -> float:
        """Energy an inference of the whole board, in millijoules."""
        return self.busy_mw * self.seconds / self.inferences


@dataclass(frozen=True, kw_only=True)
class Measurement(NamedFile):
    """Which model file was measured, in which runtime and on which device; an inference takes
    `batch` images.
    """

    manifest_sha256: str
    model: str
    device: DeviceInfo
    runtime: str
    runtime_version: str
    precision: str
    file: str
    file_sha256: str
    batch: Batch = 1
    variant: str = ""


@dataclass(frozen=True, kw_only=True)
class Record(Measurement):
    """One model file's times.

    Block i belongs to round i, in which every unfinished case has one block, timed after a few
    inferences that are not kept (`run.SWITCH_SAMPLES`); all have the same length. `before` is right
    after the warm-up, `during` after each block, `after` right after the last one.
    `rss_before_bytes` is the process before it loads the model, with the runtime imported. `cores`
    are those it was pinned to, () is none. `minutes` is what a sustained run was asked for, 0 where
    that is not known. `operators` are there where they were asked for, `energy` where the board
    measures it. `finished` is False where the device failed; then `after` and `peak_rss_bytes` may
    be None. `started` is UTC in ISO 8601.
    """

    bytes: Natural
    threads: Threads
    seed: Natural
    mode: Mode
    load_ns: Natural
    first_ns: Natural
    warmup_ns: tuple[Nanoseconds, ...]
    blocks: tuple[tuple[Nanoseconds, ...], ...]
    rss_before_bytes: Natural | None
    peak_rss_bytes: Natural | None
    before: State
    after: State | None
    started: str
    during: tuple[State, ...] = ()
    cores: tuple[Core, ...] = ()
    minutes: Minutes = 0.0
    operators: tuple[OperatorTime, ...] = ()
    energy: Energy | None = None
    finished: bool = True


@dataclass(frozen=True, kw_only=True)
class Count(Measurement):
    """One model file's instructions; `inferences` holds every one's counts by class.

    Classes: `dot` (sdot, udot, matrix products), `widening_mac`, `fmla`, `simd_load`, `simd_store`,
    `simd_other`, `load`, `store`, `branch`, `other`; `instructions` is their sum. An emulated
    device that does not count gives none: all that is known is that the file runs there. `cycles`
    are those of `least`, where they were asked for.
    """

    inferences: tuple[dict[str, Natural], ...]
    cycles: Cycles | None = None

    @property
    def least(self) -> dict[str, int]:
        """The inference with the fewest instructions; empty where none was counted."""
        return min(self.inferences, key=lambda counts: counts["instructions"], default={})

    @property
    def instructions(self) -> int | None:
        """Of the shortest inference."""
        return self.least.get("instructions")

    @property
    def spread(self) -> float:
        """How much longer the longest inference is than the shortest, as a share."""
        if self.instructions is None:
            return 0.0
        longest = max(counts["instructions"] for counts in self.inferences)
        return longest / self.instructions - 1
