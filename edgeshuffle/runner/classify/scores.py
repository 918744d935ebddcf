"""The likeliest classes of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.agent.scores import best, probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgeshuffle.artifact.metadata import Gives


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A class, its name where it has one, and its probability (0 to 1)."""

    index: int
    label: str | None
    probability: float

    @property
    def name(self) -> str:
        """The label, or for want of one the index in words."""
        return self.label or f"class {self.index}"


def likeliest(
    scores: np.ndarray, gives: Gives | None, labels: Sequence[str] | None, count: int
) -> tuple[Guess, ...]:
    """The `count` likeliest classes of a picture's (classes,) scores."""
    shares = probabilities(scores, gives)
    return tuple(
        Guess(
            index=index,
            label=None if labels is None else labels[index],
            probability=float(shares[index]),
        )
        for index in best(shares, count)
    )
