"""What an inference of some model files costs on a device, beside each other.

A device that counts instructions tells the least count of some inferences, which repeat almost to
the last one. Elsewhere it is time: rounds in which every file has its turn, in a seeded random
order, and of each file the median over rounds of its share of the first file's time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.device import DeviceInfo
from edgeshuffle.device.session import open_agent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.device import Device
    from edgeshuffle.device.session import AgentSession, Runnable
    from edgeshuffle.progress import Progress

    File = tuple[Runnable, Path]

Unit = Literal["instructions", "share of time"]

COUNTED: Final = 5
ROUNDS: Final = 40
BLOCK: Final = 8
# The first inferences after another model's find that one in the caches.
_SWITCH: Final = 3
_WARM_UP: Final = 20


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one file, with the quartiles over rounds; a count has no spread."""

    value: float
    quartiles: tuple[float, float] | None = None


def measure(
    device: Device, files: Sequence[File], progress: Progress, *, seed: int = 0
) -> tuple[Unit, tuple[Cost, ...]]:
    """Each file's cost, in their order, on a device that is steady.

    Raises DeviceError, also for a device that has neither counts nor times, MissingExtraError and
    RuntimeUnavailableError.
    """
    info = DeviceInfo.of(device.describe())
    info.must_measure()
    if info.counted:
        return "instructions", tuple(_counted(device, files, progress))
    sessions = [open_agent(device, file, path, seed=seed) for file, path in files]
    try:
        return "share of time", _timed(sessions, progress, seed)
    finally:
        for session in sessions:
            session.close()


def _counted(device: Device, files: Sequence[File], progress: Progress) -> list[Cost]:
    found = []
    for index, (file, path) in enumerate(files):
        progress("count", index, len(files))
        session = open_agent(device, file, path)
        try:
            # The first inference of a process has things to set up.
            session.samples(1)
            counts = session.count(COUNTED)
        finally:
            session.close()
        found.append(Cost(value=min(count["instructions"] for count in counts)))
    return found


def _timed(sessions: Sequence[AgentSession], progress: Progress, seed: int) -> tuple[Cost, ...]:
    for session in sessions:
        session.samples(_WARM_UP)
    order, shares = random.Random(seed), []  # noqa: S311 - an order, no secret
    for done in range(ROUNDS):
        progress("measure", done, ROUNDS)
        times = [0.0] * len(sessions)
        for index in order.sample(range(len(sessions)), len(sessions)):
            samples = sessions[index].samples(_SWITCH + BLOCK).samples_ns
            times[index] = median(samples[_SWITCH:])
        shares.append([time / times[0] for time in times])
    costs = []
    for ratios in zip(*shares, strict=True):
        lower, middle, upper = quantiles(ratios, n=4)
        costs.append(Cost(value=middle, quartiles=(lower, upper)))
    return tuple(costs)
