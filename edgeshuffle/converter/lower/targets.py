"""Which lowering is for which processor, by what was measured.

`costs.json` has candidates for every format and precision, with the cost of an inference of some
networks on some processors: instructions on emulated boards, and on x86 the time as a share of that
without a lowering. `benchmarks/lowerings.py` measures them anew. A target takes the candidate with
the least costs: those of one inference on each of its processors, in the geometric mean over the
networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.lower import REWRITES
from edgeshuffle.untrusted import decode, read_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.lower import Lowering

COSTS: Final = Path(__file__).with_name("costs.json")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Processors whose costs count alike, and whether zeros may make a file larger."""

    description: str
    processors: tuple[str, ...]
    adds_channels: bool = True


DEFAULT: Final = "generic"
# A phone of today has the Pi 5's dot products.
TARGETS: Final = {
    DEFAULT: Target(description="one file for Pi 4 and Pi 5", processors=("pi4", "pi5")),
    "pi3": Target(description="Cortex-A53", processors=("pi3",)),
    "pi4": Target(description="Cortex-A72", processors=("pi4",)),
    "pi5": Target(description="Cortex-A76, with dot products", processors=("pi5",)),
    "android": Target(description="phones with dot products", processors=("pi5",)),
    "x86": Target(description="x86 with VNNI", processors=("x86",)),
    "size": Target(
        description="the smallest files", processors=("pi4", "pi5"), adds_channels=False
    ),
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A lowering for files of one kind, with its costs by processor and network."""

    format: str
    precision: str
    lowering: dict[str, tuple[int, ...]]
    costs: dict[str, dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured, with the versions of the runtimes."""

    runtimes: dict[str, str]
    candidates: tuple[Candidate, ...]


@cache
def read_costs() -> Costs:
    """The table."""
    return decode(read_bounded(COSTS), Costs)


def candidates(target: str, format_name: str, precision: str) -> Sequence[Candidate]:
    """What may be chosen for a target, the best first, and in the table's order where alike."""
    wanted = TARGETS[target]
    found = [
        candidate
        for candidate in read_costs().candidates
        if (candidate.format, candidate.precision) == (format_name, precision)
        and (wanted.adds_channels or not _adds_channels(candidate.lowering))
    ]
    return sorted(found, key=lambda candidate: _cost(candidate, wanted.processors))


def lowering_for(target: str, format_name: str, precision: str) -> Lowering:
    """The best one that was measured; none where nothing was."""
    found = candidates(target, format_name, precision)
    return found[0].lowering if found else {}


def _adds_channels(lowering: Lowering) -> bool:
    return any(REWRITES[name].ADDS_CHANNELS for name in lowering)


def _cost(candidate: Candidate, processors: Sequence[str]) -> float:
    measured = [candidate.costs.get(processor, {}) for processor in processors]
    networks = set.intersection(*map(set, measured))
    logs = [math.log(sum(costs[network] for costs in measured)) for network in networks]
    return sum(logs) / len(logs) if logs else math.inf
