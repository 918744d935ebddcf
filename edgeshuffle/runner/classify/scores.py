"""A classifier's outputs as probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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


def probabilities(scores: NDArray[np.float32], gives: Gives | None) -> NDArray[np.float64]:
    """(classes,) of a file's output for one picture: softmax, unless it `gives` them already."""
    values = np.asarray(scores, np.float64)
    if gives == "probabilities":
        return values
    powers = np.exp(values - values.max())
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def best(
    shares: NDArray[np.float64], labels: Sequence[str] | None, count: int
) -> tuple[Guess, ...]:
    """The `count` likeliest classes; among equal ones the lower index comes first."""
    order = np.argsort(-shares, kind="stable")[:count].tolist()
    return tuple(
        Guess(
            index=index,
            label=None if labels is None else labels[index],
            probability=float(shares[index]),
        )
        for index in order
    )
