"""The lines of a records file, one a thing that happened, in the order in which it did.

A line is a JSON object with one member: {"block": {...}}. Nothing that was written is ever written
again, so no later event can take a sample away. The first line says what is measured, where and how
(`run`); then every model file is `loaded`, `warmed_up`, timed in `block`s and `finished`. On an
emulated device it is `counted`. A run that was cut off goes on after `resumed`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edgeshuffle.device import DeviceInfo
from edgeshuffle.device.cycles import Cycles
from edgeshuffle.runner.bench.plan import Mode
from edgeshuffle.runner.bench.record import (
    Core,
    Energy,
    Minutes,
    Nanoseconds,
    Natural,
    OperatorTime,
    State,
    Threads,
)
from edgeshuffle.runner.files import Batch, NamedFile
from edgeshuffle.untrusted import UntrustedError, decode, quoted

SCHEMA_VERSION: Final = 2
MAX_LINE: Final = 8 * 2**20
Index = Annotated[int, Meta(ge=0, le=1000)]


@dataclass(frozen=True, kw_only=True)
class MeasuredFile(NamedFile):
    """A model file, whose inferences take `batch` images; events refer to it by its place."""

    runtime: str
    precision: str
    path: str
    sha256: str
    bytes: Natural
    batch: Batch = 1
    variant: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is measured and under which conditions; `started` is UTC in ISO 8601."""

    kind: Literal["times", "instructions"]
    model: str
    manifest_sha256: str
    device: DeviceInfo
    files: tuple[MeasuredFile, ...]
    threads: Threads
    cores: tuple[Core, ...]
    mode: Mode
    minutes: Minutes
    seed: Natural
    profile: bool
    started: str
    schema_version: Literal[2] = SCHEMA_VERSION

    def same_work(self, other: Run) -> bool:
        """Whether samples of both belong together: all is the same but what varies by itself."""
        return self._fixed() == other._fixed()

    def _fixed(self) -> Run:
        device = replace(self.device, clock_khz=None, temperature_mc=None, load=None)
        return replace(self, device=device, started="")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A runtime has the model and ran its first inference."""

    file: Index
    runtime_version: str
    load_ns: Natural
    first_ns: Natural
    rss_before_bytes: Natural | None
    started: str


@dataclass(frozen=True, kw_only=True)
class WarmedUp:
    """Every sample of the warm-up, and the state right after it."""

    file: Index
    warmup_ns: tuple[Nanoseconds, ...]
    state: State


@dataclass(frozen=True, kw_only=True)
class Block:
    """The samples of round `index`, and the state right after them."""

    file: Index
    index: Natural
    samples_ns: tuple[Nanoseconds, ...]
    state: State


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A model file has all its blocks, and this besides."""

    file: Index
    state: State
    peak_rss_bytes: Natural
    operators: tuple[OperatorTime, ...] = ()
    energy: Energy | None = None


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Instructions of some inferences by class; `cycles` where they were asked for."""

    file: Index
    runtime_version: str
    inferences: tuple[dict[str, Natural], ...]
    cycles: Cycles | None = None


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """Another process goes on from here."""

    started: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Nothing follows: all was measured, or somebody stopped it."""

    reason: Literal["finished", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One of these."""

    run: Run | None = None
    loaded: Loaded | None = None
    warmed_up: WarmedUp | None = None
    block: Block | None = None
    finished: Finished | None = None
    counted: Counted | None = None
    resumed: Resumed | None = None
    ended: Ended | None = None


Event = Run | Loaded | WarmedUp | Block | Finished | Counted | Resumed | Ended
_NAMES: Final = {
    Run: "run",
    Loaded: "loaded",
    WarmedUp: "warmed_up",
    Block: "block",
    Finished: "finished",
    Counted: "counted",
    Resumed: "resumed",
    Ended: "ended",
}


def to_line(event: Event) -> bytes:
    """JSON and a line break; raises UntrustedError for values that JSON does not have."""
    try:
        return msgspec.json.encode({_NAMES[type(event)]: event}) + b"\n"
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as err:
        raise UntrustedError(quoted(str(err))) from err


def from_line(line: bytes) -> Event:
    """What `to_line` wrote; raises UntrustedError for anything else."""
    decoded = decode(line, Line, max_bytes=MAX_LINE)
    events: list[Event] = [
        event for field in fields(decoded) if (event := getattr(decoded, field.name)) is not None
    ]
    if len(events) != 1:
        raise UntrustedError("it is no event of a bench")
    return events[0]
