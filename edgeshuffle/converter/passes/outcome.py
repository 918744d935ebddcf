"""What a pass reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How many rewrites a pass made, and why it left what it left."""

    rewrites: int
    left: tuple[str, ...] = ()

    def followed_by(self, later: Outcome) -> Outcome:
        """Of this run and a later one of the same pass."""
        return Outcome(self.rewrites + later.rewrites, later.left)
