"""Builds a plan: what the steps of a recipe read and change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgeshuffle.converter.quant.assign import assign
from edgeshuffle.converter.quant.collect import collect
from edgeshuffle.converter.quant.samples import Channels, sample
from edgeshuffle.converter.quant.ties import tie

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan
    from edgeshuffle.converter.quant.images import Images
    from edgeshuffle.converter.quant.recipe import Recipe
    from edgeshuffle.converter.quant.ties import Group
    from edgeshuffle.progress import Progress


@dataclass
class PlanBuilder:
    """`model` may be rewritten as long as its float result stays; what depends on it is made anew.

    `ranges` are one (low, high) a group. Until a step has set them, they are the calibrator's.
    """

    model: ir.Model
    images: Images
    recipe: Recipe
    progress: Progress
    ranges: list[tuple[float, float]] | None = None
    planned: QuantPlan | None = None
    _samples: dict[str, Channels] | None = field(default=None, repr=False)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Values that share a scale."""
        return tie(self.model.graph, requantize=self.recipe.requantize)

    @property
    def samples(self) -> dict[str, Channels]:
        """Channels of the float model as it is now; raises DataError and ModelError."""
        if self._samples is None:
            self._samples = sample(
                self.model, self.images, lambda done, all_: self.progress("sample", done, all_)
            )
        return self._samples

    @property
    def plan(self) -> QuantPlan:
        """The plan so far; raises DataError and ModelError."""
        if self.planned is None:
            if self.ranges is None:
                self.ranges = collect(
                    self.model,
                    self.groups,
                    self.images,
                    self.recipe.calibrator,
                    lambda done: self.progress("calibrate", done, len(self.images)),
                )
            self.planned = assign(
                self.model.graph, self.groups, self.ranges, self.recipe.shares_scale
            )
        return self.planned

    def rewritten(self) -> None:
        """Forget what was measured on the model before it was rewritten."""
        self._samples = self.ranges = self.planned = None
