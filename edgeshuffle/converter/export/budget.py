"""Leave the fewest layers in float that keep the loss of accuracy within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter.emit.onnx_session import OnnxSession
from edgeshuffle.converter.sensitivity.layers import outputs, rank
from edgeshuffle.errors import DataError, GateError
from edgeshuffle.metrics import paired_drop, standard_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan
    from edgeshuffle.dataset import ImageSet
    from edgeshuffle.progress import Progress

# Enough to rank layers by sensitivity; the budget itself is checked on all images.
_RANKED_ON: Final = 64
# With more than this share of layers in float, the file has little of INT8's speed left.
_MOST: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Points of top-1 that are lost, or without labels percent of images with another label."""

    value: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What was asked for, and what it took: `before` with every layer in INT8, `after` without
    `float_layers`, which are named by their outputs. `metric` is `top1_drop` or `disagreement`,
    `class_order` the rule by which class folders became labels, where they did.
    """

    max_drop: float
    metric: str
    class_order: str | None
    n: int
    before: Loss
    after: Loss
    float_layers: tuple[str, ...]


def keep_in_float(
    reference: ir.Model,
    model: ir.Model,
    plan: QuantPlan,
    images: ImageSet,
    max_drop: float,
    progress: Progress,
) -> tuple[QuantPlan, Budget]:
    """The plan without the layers that have to stay floats, and what that gives on the images.

    Layers are ranked by sensitivity, and the most sensitive ones stay floats: as few as meet the
    budget, and then each of them is tried in INT8 once more. Raises GateError where half of the
    layers are not enough, and DataError without images.
    """
    search = _Search(reference, model, plan, images, progress)
    before = search.loss(())
    kept: tuple[str, ...] = ()
    if before.value > max_drop:
        kept = search.fewest(max_drop)
    metric = "disagreement" if images.labels is None else "top1_drop"
    budget = Budget(
        max_drop=max_drop,
        metric=metric,
        class_order=None if images.class_order is None else images.class_order.rule,
        n=len(images),
        before=before,
        after=search.loss(kept),
        float_layers=tuple(name for name in plan.convs if name in kept),
    )
    return plan.only(set(plan.convs) - set(kept)), budget


class _Search:
    def __init__(
        self,
        reference: ir.Model,
        model: ir.Model,
        plan: QuantPlan,
        images: ImageSet,
        progress: Progress,
    ) -> None:
        if not len(images):
            raise DataError(
                "There are no images to check the budget with. Give some with `evaluation`."
            )
        self.model, self.plan, self.images, self.progress = model, plan, images, progress
        self.float = OnnxSession(reference, None)
        self.expected = outputs(self.float, images)[0].argmax(1)
        self.known: dict[frozenset[str], Loss] = {}

    def loss(self, kept: Sequence[str]) -> Loss:
        """With these layers in float."""
        key = frozenset(kept)
        if key not in self.known:
            run = OnnxSession(self.model, self.plan.only(set(self.plan.convs) - key))
            found = []
            for done, image in enumerate(self.images):
                found.append(int(run(image).argmax()))
                stage = f"check {len(key)} layers in float"
                self.progress(stage, done + 1, len(self.images))
            self.known[key] = self._loss(np.array(found))
        return self.known[key]

    def _loss(self, found: np.ndarray) -> Loss:
        labels, n = self.images.labels, len(self.images)
        if labels is None:
            value = 100 * float(np.mean(found != self.expected))
            return Loss(value=value, standard_error=standard_error(value, n))
        value, error = paired_drop(self.expected == labels, found == labels)
        return Loss(value=value, standard_error=error)

    def fewest(self, max_drop: float) -> tuple[str, ...]:
        """The most sensitive layers, as few as meet the budget."""
        step = -(-len(self.images) // _RANKED_ON)
        some = [image for index, image in enumerate(self.images) if index % step == 0]
        layers = rank(
            self.model,
            self.plan,
            some,
            outputs(self.float, some),
            lambda done, total: self.progress("rank layers", done, total),
            classifies=True,
        )
        order = [layer.name for layer in layers]
        most = int(_MOST * len(order))
        best = self.loss(order[:most])
        if best.value > max_drop:
            what = "labels differ" if self.images.labels is None else "points of top-1 are lost"
            unit = " %" if self.images.labels is None else ""
            raise GateError(
                f"Even with {most} of {len(order)} layers in float, {best.value:.2f}{unit} "
                f"±{best.standard_error:.2f} {what} on {len(self.images)} images, more than "
                f"`max_drop={max_drop:g}`. Give more calibration images, another `recipe`, or a "
                "larger `max_drop`."
            )
        few, enough = 0, most
        while enough - few > 1:
            middle = (few + enough) // 2
            if self.loss(order[:middle]).value > max_drop:
                few = middle
            else:
                enough = middle
        kept = order[:enough]
        for name in reversed(kept[:-1]):
            without = [other for other in kept if other != name]
            if self.loss(without).value <= max_drop:
                kept = without
        return tuple(kept)
