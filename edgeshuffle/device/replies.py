"""What an agent may reply: types with bounds, so that nothing else gets past this door.

Names end with their unit, as in `agent/agent.py`: ns, bytes, khz, mc, mw. Unknown fields are
dropped, since a newer agent may tell more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeVar

from msgspec import Meta

from edgeshuffle.errors import DeviceError
from edgeshuffle.untrusted import UntrustedError, convert

T = TypeVar("T")

START_SECONDS: Final = 120.0
# More and larger outputs, and operators, than any model has, and a machine of more cores.
MAX_OUTPUTS: Final = 64
MAX_OUTPUT_BASE64: Final = 48 * 2**20
MAX_OPERATORS: Final = 10_000
# Constants of up to 1 KiB are within; all weights of a network for a board would have place.
MAX_GRAPH_BASE64: Final = 48 * 2**20
MAX_CORES: Final = 4096

# An hour, which no inference takes.
Nanoseconds = Annotated[int, Meta(gt=0, le=3_600_000_000_000)]
Bytes = Annotated[int, Meta(ge=0, le=2**60)]
Kilohertz = Annotated[int, Meta(ge=0, le=100_000_000)]
Millicelsius = Annotated[int, Meta(ge=-273_150, le=1_000_000)]
Milliwatts = Annotated[float, Meta(ge=0, le=1_000_000)]
Bits = Annotated[int, Meta(ge=0, lt=2**32)]
Core = Annotated[int, Meta(ge=0, lt=2**16)]
Cluster = Annotated[tuple[Core, ...], Meta(max_length=MAX_CORES)]
Name = Annotated[str, Meta(max_length=200)]
NodeName = Annotated[str, Meta(max_length=1000)]
Shape = Annotated[tuple[Annotated[int, Meta(ge=0, le=2**31)], ...], Meta(max_length=16)]
Message = Annotated[str, Meta(max_length=100_000)]
Version = Annotated[str, Meta(pattern=r"^\d{1,9}\.\d{1,9}", max_length=200)]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """What went wrong there; `missing` is the package that is not installed."""

    error: Message
    missing: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A model is loaded; the time of its first inference is bounded by that of the start."""

    ready: Literal[True]
    load_ns: Annotated[int, Meta(ge=0, le=int(START_SECONDS * 1e9))]
    first_ns: Annotated[int, Meta(gt=0, le=int(START_SECONDS * 1e9))]
    runtime_version: Name
    input_shape: Annotated[tuple[Annotated[int, Meta(gt=0)], ...], Meta(max_length=8)]
    rss_before_bytes: Bytes | None


@dataclass(frozen=True, kw_only=True)
class State:
    """The device at this moment, and the process's peak memory; None is what it does not show."""

    peak_rss_bytes: Bytes
    clock_khz: Kilohertz | None
    temperature_mc: Millicelsius | None
    throttled: Bits | None = None


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Times of inferences, and the state after them."""

    samples_ns: tuple[Nanoseconds, ...]
    state: State


@dataclass(frozen=True, kw_only=True)
class OperatorTime:
    """Time of one operator, which was the `order`-th to run, and the shapes that it gives."""

    name: NodeName
    op: Name
    ns: Annotated[int, Meta(ge=0, le=3_600_000_000_000)]
    order: Annotated[int, Meta(ge=0)] = 0
    shapes: Annotated[tuple[Shape, ...], Meta(max_length=1000)] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Every operator's time; none where the runtime does not tell."""

    operators: Annotated[tuple[OperatorTime, ...], Meta(max_length=MAX_OPERATORS)]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """An ONNX file in base64, without its larger constants; None where no runtime tells."""

    graph: Annotated[str, Meta(max_length=MAX_GRAPH_BASE64)] | None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """From now on, what was asked for is run instead of the model."""

    cut: Literal[True]


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Mean power while idle and while inferring; None where the device measures none."""

    idle_mw: Milliwatts | None
    busy_mw: Milliwatts | None
    inferences: Annotated[int, Meta(ge=0)]
    seconds: Annotated[float, Meta(gt=0, le=3600)]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Each output's little-endian float32 values in base64, so that NaN gets through, too.

    `ns` is what the inference took there, less all that was sent.
    """

    outputs: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_OUTPUT_BASE64)], ...],
        Meta(max_length=MAX_OUTPUTS),
    ]
    ns: Nanoseconds | None = None


@dataclass(frozen=True, kw_only=True)
class Marked:
    """So many inferences were announced to a counting emulator."""

    marked: Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Described:
    """What the agent tells of its device: the values of DeviceInfo, and what packages fit it.

    `clusters` are the cores that may be used, alike ones together, the slowest first. `bits` are
    those of its programs, which may be fewer than its kernel's.
    """

    machine: Name
    cpu: Name
    cores: Annotated[int, Meta(ge=1, le=MAX_CORES)]
    is_arm: bool
    clusters: Annotated[tuple[Cluster, ...], Meta(max_length=MAX_CORES)]
    governor: Name | None
    clock_khz: Kilohertz | None
    temperature_mc: Millicelsius | None
    load: Annotated[float, Meta(ge=0, le=1e9)] | None
    python: Version
    bits: Literal[32, 64]
    glibc: Version | None
    page_bytes: Annotated[int, Meta(ge=1, le=2**30)]
    memory_bytes: Bytes | None
    free_bytes: Bytes | None
    throttled: Bits | None
    pmic: bool
    hostname: Name | None = None
    kernel: Name | None = None
    emulated: bool = False
    counted: bool = False
    features: Annotated[tuple[Name, ...], Meta(max_length=10_000)] = ()
    packages: dict[str, Name] = field(default_factory=dict)

    @property
    def python_version(self) -> tuple[int, int]:
        """Major and minor version of its Python."""
        return _version(self.python)

    @property
    def glibc_version(self) -> tuple[int, int]:
        """Major and minor version of its C library; (0, 0) where that is another one."""
        return _version(self.glibc or "0.0")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who uses a device: written into its lock, for the message of those who find it locked."""

    host: Name = "another machine"
    user: Name = "somebody"
    pid: int = 0
    command: Name = "edgeshuffle"
    since: Name = "an unknown time"

    def __str__(self) -> str:
        return (
            f"{self.command} by {self.user} on {self.host} (process {self.pid}) since {self.since}"
        )


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What holding a device came to, in one of several lines.

    Either it is `held`, or somebody else is its `holder`, whose end is waited for where `waiting`.
    `left` are settings that an earlier holder left and that cannot be set back.
    """

    held: bool
    waiting: bool = False
    holder: Holder | None = None
    left: Annotated[tuple[Name, ...], Meta(max_length=MAX_CORES)] = ()
    problem: Message | None = None


@dataclass(frozen=True, kw_only=True)
class Restored:
    """Settings that could not be set back, which are remembered; `busy` leaves them to a holder."""

    left: Annotated[tuple[Name, ...], Meta(max_length=MAX_CORES)] = ()
    busy: bool = False


def read(reply: dict[str, Any], kind: type[T], where: str) -> T:
    """A reply as what it should be; raises DeviceError that names the place and what is wrong."""
    try:
        return convert(reply, kind)
    except UntrustedError as err:
        raise wrong(kind, where, str(err)) from err


def wrong(kind: type[Any], where: str, what: str) -> DeviceError:
    """The error for a reply that cannot be believed."""
    return DeviceError(
        f"The agent {where} gave a wrong reply for {kind.__name__} ({what}). Check that nothing "
        "else answers there, and run it again."
    )


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
