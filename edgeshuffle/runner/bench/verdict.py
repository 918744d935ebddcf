"""Whether a case's numbers deserve belief, and if not, why and what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.device.throttled import THROTTLED
from edgeshuffle.runner.bench.plan import SAMPLINGS
from edgeshuffle.runner.bench.stats import PERCENTILES, SAMPLES_BEYOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeshuffle.runner.bench.record import Count, Record, State
    from edgeshuffle.runner.bench.stats import Statistics

SPREAD: Final = 1.5
DRIFT: Final = 0.05
CLOCK: Final = 0.97
# Inferences of millions of instructions differ by 0.1 %; beyond, something else ran as well.
COUNT_SPREAD: Final = 0.01
_STICKY: Final = 16


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """VALID without reasons against it, INVALID with."""

    reasons: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether there is no reason to doubt."""
        return not self.reasons

    def __str__(self) -> str:
        return "VALID" if self.valid else "INVALID"


def judge(record: Record, statistics: Statistics) -> Verdict:
    """All reasons against a record, in order of weight."""
    return Verdict(reasons=tuple(_reasons(record, statistics)))


def judge_count(count: Count) -> Verdict:
    """All reasons against instruction counts."""
    if count.spread <= COUNT_SPREAD:
        return Verdict(reasons=())
    return Verdict(
        reasons=(
            f"inferences differ by {100 * count.spread:.2f} %, more than "
            f"{100 * COUNT_SPREAD:.0f} %; run it again",
        )
    )


def steady_state(record: Record) -> tuple[tuple[int, ...], ...]:
    """The blocks that statistics are taken from: a sustained run's second half, else all."""
    if not SAMPLINGS[record.mode].steady_state:
        return record.blocks
    return record.blocks[len(record.blocks) // 2 :]


def slowdown(blocks: Sequence[Sequence[int]]) -> float:
    """Median of the last tenth of the blocks over that of the first tenth."""
    tenth = max(1, len(blocks) // 10)
    return float(np.median(blocks[-tenth:]) / np.median(blocks[:tenth]))


def drift(blocks: tuple[tuple[int, ...], ...]) -> float:
    """How far the run's two halves disagree, as a share: 0.05 is 5 %.

    The medians' difference over the smaller of them; each is of all samples of its half of the
    blocks. The middle one of an odd number of blocks is left out; a single block has no halves
    and gives 0. Medians over halves do not react to a block that was disturbed, only to change
    that stays.
    """
    half = len(blocks) // 2
    if half == 0:
        return 0.0
    low, high = sorted(float(np.median(part)) for part in (blocks[:half], blocks[-half:]))
    return (high - low) / low


def _throttling(before: State, seen: Sequence[State]) -> Iterator[str]:
    """What the firmware admits: a bit set now, or one of its sticky twins set since the start."""
    now = before.throttled or 0
    for state in seen:
        bits = state.throttled or 0
        now |= bits | (bits & ~(before.throttled or 0)) >> _STICKY
    for bit, name in enumerate(THROTTLED):
        if now >> bit & 1:
            yield f"the firmware reports {name}"


def _reasons(record: Record, statistics: Statistics) -> Iterator[str]:
    if not record.finished:
        yield "the device failed before the end; run it again"
    minimum = SAMPLINGS[record.mode].counted
    if statistics.n < minimum:
        yield f"only {statistics.n} samples where {minimum} are needed; run it again"
    seen = (*record.during, *((record.after,) if record.after else ()))
    # How far heat slows it down is what a sustained run is to show.
    steady = record.mode != "sustained"
    before = record.before.clock_khz if steady else None
    lowest = min((state.clock_khz for state in seen if state.clock_khz), default=None)
    if before and lowest and lowest / before < CLOCK:
        yield (
            f"the clock sank from {before / 1000:.0f} to {lowest / 1000:.0f} MHz; "
            "cool the device or fix a lower clock"
        )
    if steady:
        yield from _throttling(record.before, seen)
    blocks = steady_state(record)
    change = drift(blocks)
    if change > DRIFT:
        yield (
            f"the run's two halves differ by {100 * change:.1f} % in the median, more than "
            f"{100 * DRIFT:.0f} %; wait until other work is over"
            + (", or measure for longer with the mode full" if record.mode == "quick" else "")
        )
    # Of 128 samples, p99 is one that was disturbed: judged is the highest that they can tell.
    told = math.floor(100 * (1 - SAMPLES_BEYOND / statistics.n))
    percent = min(max(told, PERCENTILES[0]), PERCENTILES[-1])
    spread = float(np.percentile(blocks, percent)) / statistics.p50.value
    if spread >= SPREAD:
        yield (
            f"p{percent} is {spread:.2f} times p50, {SPREAD} or more; close other programs or use "
            "fewer threads"
        )
