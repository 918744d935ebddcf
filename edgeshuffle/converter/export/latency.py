"""What layers in float cost in latency, on this machine: both forms interleaved in one run."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact.runtimes import RUNTIMES

if TYPE_CHECKING:
    from pathlib import Path

_WARM_UP: Final = 5
_ROUNDS: Final = 30


def slowdown(runtime: str, mixed: Path, whole: Path) -> float:
    """Median over rounds of the time of `mixed` divided by that of `whole`, on one thread."""
    sessions = [RUNTIMES[runtime].open_session(str(path), 1) for path in (mixed, whole)]
    for session in sessions:
        session.stage(np.zeros(session.input_shape, np.float32))
    ratios = []
    for number in range(_WARM_UP + _ROUNDS):
        times = [0, 0]
        # Each goes first in every other round.
        for which in ((0, 1), (1, 0))[number % 2]:
            start = time.perf_counter_ns()
            sessions[which].invoke()
            times[which] = time.perf_counter_ns() - start
        if number >= _WARM_UP:
            ratios.append(times[0] / times[1])
    return median(ratios)
