"""Devices: where models are measured. Each module opens one kind."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, Self

from edgeshuffle.errors import DeviceError
from edgeshuffle.plugins import Table
from edgeshuffle.progress import silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from edgeshuffle.device.cycles import Cycles
    from edgeshuffle.device.replies import Described
    from edgeshuffle.payload.wheels import Choice
    from edgeshuffle.progress import Progress


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """What a measurement has to say about its device; None is what the device does not show.

    `clock_khz` is the fastest core's clock, `temperature_mc` in thousandths of a degree Celsius,
    `load` the number of runnable processes over the last minute, all before measuring. `cores`
    are the logical ones that may be used. An `emulated` device has no times; it has instructions if
    `counted`. Records of versions before 2 have no `hostname` and `kernel`.
    """

    machine: str
    cpu: str
    cores: int
    is_arm: bool
    governor: str | None
    clock_khz: int | None
    temperature_mc: int | None
    load: float | None
    python: str
    emulated: bool = False
    counted: bool = False
    hostname: str | None = None
    kernel: str | None = None

    @classmethod
    def of(cls, described: Described) -> Self:
        """From what an agent tells, which is more than is kept with a measurement."""
        return cls(**{field.name: getattr(described, field.name) for field in fields(cls)})

    @property
    def label(self) -> str:
        """How measurements from here may be spoken of."""
        if self.emulated:
            return "emulated, instructions only" if self.counted else "emulated, no times"
        return "device" if self.is_arm else "host, not a device"

    def must_measure(self) -> None:
        """Raise DeviceError where there are neither times nor instructions."""
        if self.emulated and not self.counted:
            raise DeviceError(
                f"{self.cpu} is emulated, so its times say nothing, and its instructions cannot be "
                "counted. Use a real device, or an emulated board: emulated://pi5."
            )


class Process(Protocol):
    """A program on the device that answers JSON lines. Raises DeviceError.

    Replies are JSON objects of no great size without control characters, and nothing more:
    `replies.read` makes them what they should be.
    """

    @property
    def where(self) -> str:
        """The place that it runs at, such as "on this machine"."""
        ...

    def reply(self, timeout: float) -> dict[str, Any]:
        """Wait for the next line; at most `timeout` seconds."""
        ...

    def ask(self, command: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Send a line and wait for its reply; at most `timeout` seconds."""
        ...

    def close(self) -> None:
        """End it, which holds nothing worth saving; once more does no harm."""
        ...

    def count(self, n: int, timeout: float) -> tuple[dict[str, int], ...]:
        """Have an agent run `n` inferences and return each one's instructions by class.

        Only devices that are `counted` can.
        """
        ...

    def cycles(self) -> Cycles:
        """Estimate those of the shortest inference that was counted last.

        Only where the device's `prepare_cycles` came first.
        """
        ...


class Device(Protocol):
    """A device that is in use; leaving the `with` block ends every process that it started."""

    @property
    def python(self) -> str:
        """The Python there that has the runtimes."""
        ...

    def describe(self) -> Described:
        """All that the agent tells of the device, which `DeviceInfo.of` keeps a part of.

        Asking may start a program there: ask once. Raises DeviceError.
        """
        ...

    def choose(self) -> Choice | None:
        """The runtimes that `set_up` puts there; None where they are part of the device.

        Raises DeviceError where the package index cannot be asked.
        """
        ...

    def set_up(self, wait: float = 0.0) -> str:
        """Have the runtimes there and return where they are; raises DeviceError.

        Where something is to be changed for that and another process measures, it is waited for
        `wait` seconds.
        """
        ...

    def steady(self, wait: float = 0.0) -> None:
        """Hold the device alone, and fix what makes times vary, as far as this user may.

        Undone when the block is left, or when this process ends in whatever way. Raises
        DeviceError where another process holds it for longer than `wait` seconds.
        """
        ...

    def prepare_cycles(self) -> None:
        """Have processes that are started from now on be ready to estimate `cycles`.

        That makes them slower. Raises UnknownNameError for a device that cannot, and DeviceError.
        """
        ...

    def push(self, file: Path) -> str:
        """Make a file available there, under a name of our own, and return its path."""
        ...

    def push_program(self, *files: Path) -> str:
        """Make a program of ours available there, the last of `files`, beside the others."""
        ...

    def spawn(self, argv: Sequence[str]) -> Process: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class DeviceKind(Protocol):
    """What a device's module offers."""

    def check(self, address: str) -> None:
        """Raise UnknownNameError for what can be no address of this kind."""
        ...

    def connect(self, address: str, progress: Progress) -> Device:
        """Open the device at a checked address of this kind; raises DeviceError."""
        ...


DEVICES: Table[DeviceKind] = Table(
    "device", __name__, "runtime", "local", "ssh", "adb", "emulated", "docker"
)


def open_device(text: str, progress: Progress | None = None) -> Device:
    """The device that `--device` names, such as `local` or `emulated://pi4`.

    `progress(stage, done, total)` is called where opening takes long. Raises UnknownNameError and
    DeviceError.
    """
    return check_address(text).connect(text.partition("://")[2], progress or silent)


def check_address(text: str) -> DeviceKind:
    """The kind of device that an address is of; raises UnknownNameError for what is none."""
    kind, _, address = text.partition("://")
    found = DEVICES[kind]
    found.check(address)
    return found
