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
    "options": Family(options.case, 900),
    "files": Family(files.case, 450),
    "records": Family(records.case, 400),
    "manifests": Family(manifests.case, 350),
    "devices_toml": Family(devices_toml.case, 250),
    "replies": Family(replies.case, 250),
    "graphs": Family(graphs.case, 100),
}
