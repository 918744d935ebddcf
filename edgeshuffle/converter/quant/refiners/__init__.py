"""Refiners: the steps of a recipe. Each module has `refine(builder)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.builder import PlanBuilder


class Refiner(Protocol):
    """Improves a plan. What it changes in the float model must not change its result."""

    def refine(self, builder: PlanBuilder) -> None: ...


REFINERS: Table[Refiner] = Table(
    "refiner", __name__, "export", "equalize", "output_ranges", "adaround", "bias_correction"
)
