"""What a pass reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How many rewrites a pass made, and why it left what it left."""

    rewrites: int
    left: tuple[str, ...] = ()
