"""Which cores measure: a phone's fast and slow ones are different machines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeshuffle.errors import UnknownNameError

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
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", wanted):
        raise UnknownNameError(f"'{wanted}' names no cores: fast, slow, all or a list like 0,4-7.")
    listed: set[int] = set()
    for part in wanted.split(","):
        first, _, last = part.partition("-")
        listed.update(range(int(first), int(last or first) + 1))
    known = {core for cluster in clusters for core in cluster}
    if not listed or not listed <= known:
        raise UnknownNameError(
            f"There are no cores {wanted} on the device. Its cores: "
            f"{', '.join(map(str, sorted(known)))}."
        )
    return tuple(sorted(listed))
