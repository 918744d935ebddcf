"""Post-training INT8 quantization: float graph and images to one plan that every format follows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.progress import silent

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.converter.plan import QuantPlan
    from edgeshuffle.converter.quant.images import Images
    from edgeshuffle.converter.quant.recipe import Recipe
    from edgeshuffle.converter.quant.samples import Channels
    from edgeshuffle.progress import Progress


_CLEARLY_DB: Final = 0.3


@dataclass(frozen=True, eq=False)
class Quantized:
    """A plan, the model that it is for (with the float result of the given one), and the steps of
    the recipe that were taken. It was made from `fitted` images; `held_out` others told whether the
    steps help.
    """

    model: ir.Model
    plan: QuantPlan
    steps: tuple[str, ...]
    fitted: int
    held_out: int


def quantize(
    model: ir.Model,
    images: Images,
    recipe: Recipe,
    progress: Progress | None = None,
    preprocess: Preprocess | None = None,
) -> Quantized:
    """Run the float model on `images` ((1, 3, R, R) float32 each) and plan its INT8 form.

    With `preprocess`, which made the images of pictures, a recipe that augments varies half of
    them, in both parts.

    A recipe with steps is tried on a part of the images and compared with the recipe without them
    on the others: too few images can make steps harmful. Where it is not clearly better, the steps
    that need the most images are left out, or all are. Accepted steps are not fitted again on all
    images: that takes as long once more, and changed the SQNR on test images by -0.5 dB (demo x0.5)
    and +0.3 dB (x1.0). `progress` is called with a stage, and how much of how much is done. Raises
    DataError without images, and ModelError where the network computes NaN or infinity.
    """
    from edgeshuffle.converter.operators import is_conv
    from edgeshuffle.converter.quant.one_thread import one_thread

    recipe.check_fits([node for node in model.graph if is_conv(node)])
    with one_thread():
        made = _planned(model, images, recipe, progress or silent, preprocess)
    if not recipe.layers:
        return made
    names = [
        node.outputs[0].name or ""
        for node in made.model.graph
        if is_conv(node) and not recipe.stays_float(node)
    ]
    return dataclasses.replace(made, plan=made.plan.only(names))


def _planned(
    model: ir.Model,
    images: Images,
    recipe: Recipe,
    report: Progress,
    preprocess: Preprocess | None,
) -> Quantized:
    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.hold_out import Judge, hold_out
    from edgeshuffle.converter.quant.refiners import goes_by_channel
    from edgeshuffle.converter.quant.variations import Varied

    if not recipe.steps:
        return _follow(model, images, recipe, report)
    parts = hold_out(images)
    counts = [len(part) for part in parts]
    if recipe.augment and preprocess is not None:
        parts = Varied(parts[0], preprocess), Varied(parts[1], preprocess)
    fit, others = parts
    judge = Judge(model, others)
    plain = PlanBuilder(model, fit, recipe, report)
    plain.observe()
    least = judge.sqnr(model, plain.plan)
    fewer = tuple(step for step in recipe.steps if not goes_by_channel(step))
    for steps in (recipe.steps, fewer):
        tried = _follow(model, fit, dataclasses.replace(recipe, steps=steps), report, plain.taken())
        if judge.sqnr(tried.model, tried.plan) >= least + _CLEARLY_DB:
            # Of a single image there are no others.
            held_out = counts[1] if len(images) > 1 else 0
            return dataclasses.replace(tried, fitted=counts[0], held_out=held_out)
    return _follow(model, images, dataclasses.replace(recipe, steps=()), report)


def _follow(
    model: ir.Model,
    images: Images,
    recipe: Recipe,
    report: Progress,
    sampled: dict[str, Channels] | None = None,
) -> Quantized:
    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.refiners import REFINERS

    builder = PlanBuilder(model.clone(), images, recipe, report, sampled=sampled)
    for name in recipe.steps:
        builder.stage = REFINERS[name].STAGE
        REFINERS[name].refine(builder)
    return Quantized(builder.model, builder.plan, recipe.steps, len(images), 0)
