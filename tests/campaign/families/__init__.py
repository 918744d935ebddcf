"""Kinds of hostile input: each module's `case` makes one case of a seeded random generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.families import devices_toml, files, graphs, manifests, options, records, replies

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from campaign.case import Case, Sandbox
    from campaign.seeds import Seeds


@dataclass(frozen=True)
class Family:
    """How to make a case, and how many CI runs."""

    case: Callable[[Random, Sandbox, Seeds], Case]
    count: int


FAMILIES = {
    "options": Family(options.case, 1000),
    "files": Family(files.case, 360),
    "records": Family(records.case, 500),
    "manifests": Family(manifests.case, 330),
    "devices_toml": Family(devices_toml.case, 200),
    "replies": Family(replies.case, 120),
    "graphs": Family(graphs.case, 60),
}
