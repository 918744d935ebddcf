"""Which cores measure: a phone's fast and slow ones are different machines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


def choose_cores(wanted: str, clusters: Sequence[Sequence[int]], threads: int) -> tuple[int, ...]:
    """The cores to pin to, ascending; () is no pinning.

    `wanted` is `fast`, `slow`, `all` or a list such as `0,4-7`; `clusters` are the device's, the
    slowest first. Where a cluster has fewer cores than there are threads, its neighbour joins it.
    Raises UnknownNameError for what is none of these, and for cores that are not there.
    """
    if wanted == "all":
        return ()
    if wanted in ("fast", "slow"):
        if len(clusters) < 2:
            return ()
        chosen: list[int] = []
        for cluster in clusters if wanted == "slow" else reversed(clusters):
            if len(chosen) < threads:
                chosen += cluster
        return tuple(sorted(chosen))
    # No kernel has cores of more digits.
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*", wanted):
        raise UnknownNameError(
            f"'{quoted(wanted, 60)}' names no cores: fast, slow, all or a list like 0,4-7."
        )
    known = {core for cluster in clusters for core in cluster}
    ends = [part.partition("-") for part in wanted.split(",")]
    ranges = [range(int(first), int(last or first) + 1) for first, _, last in ends]
    # Before they cost memory.
    there = all(one.stop - 1 <= max(known) for one in ranges)
    listed = {core for one in ranges for core in one} if there else set()
    if not listed or not listed <= known:
        raise UnknownNameError(
            f"There are no cores {quoted(wanted, 60)} on the device. Its cores: "
            f"{', '.join(map(str, sorted(known)))}."
        )
    return tuple(sorted(listed))
