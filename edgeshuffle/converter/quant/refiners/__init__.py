"""Refiners: the steps of a recipe. Each module has `refine(builder)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.builder import PlanBuilder


class Refiner(Protocol):
    """Improves a plan. What it changes in the float model must not change its result.

    A module may say `BY_CHANNEL = True` where it goes by what single channels hold, which needs the
    most images, and `CHOOSES_RANGES = True` where it sets ranges anew, whatever the calibrator.
    """

    STAGE: str
    """What a user is told that it does."""

    def refine(self, builder: PlanBuilder) -> None: ...


REFINERS: Table[Refiner] = Table(
    "refiner", __name__, "export", "equalize", "output_ranges", "adaround", "bias_correction"
)


def goes_by_channel(step: str) -> bool:
    """Whether it is one of the steps that need the most images."""
    return getattr(REFINERS[step], "BY_CHANNEL", False)


def chooses_ranges(step: str) -> bool:
    """Whether the ranges are its own."""
    return getattr(REFINERS[step], "CHOOSES_RANGES", False)
