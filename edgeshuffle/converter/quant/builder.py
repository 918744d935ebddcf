"""Builds a plan: what the steps of a recipe read and change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgeshuffle.converter.quant.assign import assign
from edgeshuffle.converter.quant.images import count_images
from edgeshuffle.converter.quant.observe import observe
from edgeshuffle.converter.quant.ranges import Ranges
from edgeshuffle.converter.quant.samples import Channels, Samples
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
    `sampled` are the channels, where they were observed; `stage` is the step at work.
    """

    model: ir.Model
    images: Images
    recipe: Recipe
    progress: Progress
    ranges: list[tuple[float, float]] | None = None
    planned: QuantPlan | None = None
    sampled: dict[str, Channels] | None = field(default=None, repr=False)
    stage: str = "refine"

    @property
    def groups(self) -> tuple[Group, ...]:
        """Values that share a scale."""
        return tie(self.model.graph, requantize=self.recipe.requantize)

    @property
    def samples(self) -> dict[str, Channels]:
        """Channels of the float model as it is now; raises DataError and ModelError."""
        if self.sampled is None:
            self.observe(ranges=False)
            assert self.sampled is not None
        return self.sampled

    @property
    def plan(self) -> QuantPlan:
        """The plan so far; raises DataError and ModelError."""
        if self.planned is None:
            if self.ranges is None:
                self.observe(samples=False)
                assert self.ranges is not None
            self.planned = assign(
                self.model.graph,
                self.groups,
                self.ranges,
                self.recipe.shares_scale,
                float_logits=self.recipe.logits == "float32",
            )
        return self.planned

    def observe(self, *, ranges: bool = True, samples: bool = True) -> None:
        """Go over the images once; raises DataError and ModelError."""
        count = count_images(self.images)
        seen = Ranges(self.groups, self.recipe.calibrator, count) if ranges else None
        drawn = Samples(self.model.graph, count) if samples else None
        observe(
            self.model,
            self.images,
            [observer for observer in (seen, drawn) if observer is not None],
            lambda done, total: self.progress("calibrate", done, total),
        )
        self.ranges = self.ranges if seen is None else seen.found()
        self.sampled = self.sampled if drawn is None else drawn.found()

    def tell(self, done: int, total: int) -> None:
        """How far the step at work is."""
        self.progress(self.stage, done, total)

    def taken(self) -> dict[str, Channels] | None:
        """The channels, where they were observed, for another builder: they are large."""
        sampled, self.sampled = self.sampled, None
        return sampled

    def rewritten(self, sampled: dict[str, Channels]) -> None:
        """Forget what was measured on the model before it was rewritten, but for the channels that
        follow from what they were.
        """
        self.ranges = self.planned = None
        self.sampled = sampled
