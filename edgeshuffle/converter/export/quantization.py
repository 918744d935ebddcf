"""Quantize the float model as a request says, within what it may lose."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.converter import graph as g
from edgeshuffle.converter.export.files import Form, write_models
from edgeshuffle.converter.export.proof import MIXED_STEPS, WHOLE_STEPS, Steps
from edgeshuffle.converter.export.quality import CHECKED_IMAGES, unlike_training
from edgeshuffle.converter.operators import is_conv
from edgeshuffle.converter.operators.fused import is_fused
from edgeshuffle.converter.precision import conv_names, float_values
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.images import Images, Joined
from edgeshuffle.dataset import ImageSet, open_images
from edgeshuffle.dataset.pictures import PixelPictures
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx_ir as ir

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.converter.export.batch import Batch
    from edgeshuffle.converter.export.budget import Budget
    from edgeshuffle.converter.export.files import Choose
    from edgeshuffle.converter.export.request import DropLimit, Quantization
    from edgeshuffle.converter.export.source import Source
    from edgeshuffle.converter.plan import QParams, QuantPlan
    from edgeshuffle.converter.quant import Quantized
    from edgeshuffle.converter.quant.batch_norms import BatchNorms, Drift
    from edgeshuffle.progress import Progress


@dataclass(frozen=True, eq=False)
class Int8:
    """What was asked for and is written, from which calibration images, and `whole`, with no layer
    in float.

    `drift` is how far these images are from those of training (`BatchNorms`), where that is known,
    and `unlike` says so where that is far;
    `evaluated` are the images that `budget` was met on.
    """

    asked: Quantization
    quantized: Quantized
    whole: Quantized
    calibration: ImageSet
    drift: Drift | None = None
    unlike: tuple[str, ...] = ()
    budget: Budget | None = None
    evaluated: ImageSet | None = None

    @property
    def form(self) -> Form:
        """What is written."""
        return Form("int8", self.quantized.model, self.quantized.plan)

    @property
    def input(self) -> QParams:
        """Of the images that it reads."""
        name = self.quantized.model.graph.inputs[0].name or ""
        return self.quantized.plan.activations[name]

    @property
    def steps(self) -> Steps:
        """Those of the integers that the outputs are, or that they are computed from as floats."""
        graph, plan = self.quantized.model.graph, self.quantized.plan
        mixed = set(conv_names(graph)) - set(plan.convs)
        floats = float_values(graph, plan)
        return Steps(
            tuple(_step(value, plan, floats) for value in graph.outputs),
            MIXED_STEPS if mixed else WHOLE_STEPS,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the images."""
        order = None if self.evaluated is None else self.evaluated.class_order
        found = () if order is None or order.note is None else (order.note,)
        if self.asked.images is not None:
            return found
        return (
            f"calib: {len(self.calibration)} images made up from the batch norms' statistics; some "
            "hundred of your own make INT8 better",
            *found,
        )


def _step(value: ir.Value, plan: QuantPlan, floats: frozenset[ir.Value]) -> float:
    """The largest step of the integers that a value is computed from with floats, or its own.

    A step before a Sigmoid is up to some of the output's own ones. Of numbers that count, as
    ArgMax's, none is too large: the next one may be anywhere.
    """
    if not g.is_float(value):
        return math.inf
    node, params = value.producer(), plan.activations.get(value.name or "")
    own = 1.0 if params is None else params.scale
    if value not in floats or node is None or is_conv(node) or is_fused(node):
        return own
    sources = [_step(source, plan, floats) for _, source in g.data_inputs(node)]
    return max(own, *sources) if sources else own


def make_int8(asked: Quantization, source: Source, model: ir.Model, report: Progress) -> Int8:
    """Quantize, and leave layers in float where INT8 would lose too much.

    Raises DataError, GateError and ModelError.
    """
    from edgeshuffle.converter.quant.batch_norms import BatchNorms

    norms = BatchNorms.of(source.module)
    if asked.images is None:
        images = _made_up(norms, source, report)
    else:
        images = open_images(asked.images, source.preprocess, limit=asked.limit)
    drift = None if norms is None or asked.images is None else norms.drift(images)
    unlike = unlike_training(images.some(CHECKED_IMAGES), drift)
    seen: Images = images
    if unlike and asked.recipe.augment:
        made_up = _made_up(norms, source, report)
        # More of them would outweigh those made up: 23.0 instead of 28.5 dB, CIFAR-10 with 200.
        seen = Joined(images.some(len(made_up)), made_up)
    report("calibrate", 0, len(seen))
    whole = quantize(model, seen, asked.recipe, report, source.preprocess)
    if asked.drop is None:
        return Int8(asked, whole, whole, images, drift, unlike)
    from edgeshuffle.converter.export.budget import keep_in_float

    judges = _evaluation(asked.drop, source, model)
    plan, budget = keep_in_float(
        model, whole.model, whole.plan, judges, asked.drop.max_drop, report
    )
    mixed = dataclasses.replace(whole, plan=plan)
    return Int8(asked, mixed, whole, images, drift, unlike, budget, judges)


def _made_up(norms: BatchNorms | None, source: Source, report: Progress) -> ImageSet:
    """Images that the batch norms take for their own; raises ModelError where there are none."""
    from edgeshuffle.converter.quant.synthesis import synthesised

    if norms is None:
        raise ModelError(
            "`calib=none` makes images up by the statistics of batch norms, and these weights have "
            "none. Give images."
        )
    pixels = synthesised(norms, source.preprocess, report)
    return ImageSet(
        pictures=PixelPictures(pixels, Path("made_up"), np.arange(len(pixels))),
        preprocess=source.preprocess,
        labels=None,
    )


def _evaluation(drop: DropLimit, source: Source, model: ir.Model) -> ImageSet:
    shape = g.shape_of(model.graph.outputs[0])
    if len(model.graph.outputs) > 1 or len(shape) < 2 or math.prod(shape) != shape[1]:
        raise ModelError(
            "`max_drop` limits what a classifier may lose, and this model does not give one number "
            "a class, (1, classes). Leave it out, or limit the noise of each output with "
            "`min_sqnr`."
        )
    return open_images(
        drop.images,
        source.preprocess,
        num_classes=shape[1],
        class_names=source.labels,
        class_order=drop.class_order,
    )


def budget_notes(
    int8: Int8,
    artifact: Artifact,
    formats: Mapping[str, Mapping[str, str]],
    batch: Batch,
    choose: Choose,
) -> tuple[str, ...]:
    """What the budget took, and what its layers in float cost in latency on this machine."""
    budget, whole = int8.budget, int8.whole
    if budget is None:
        return ()
    what = "top-1 lost" if budget.metric == "top1_drop" else "other labels"
    before, after = (
        f"{loss.value:.2f} ±{loss.standard_error:.2f}" for loss in (budget.before, budget.after)
    )
    kept = len(budget.float_layers)
    if not kept:
        return (f"`max_drop`: met without layers in float ({what}: {after}, {budget.n} images)",)
    notes = [
        f"`max_drop`: {kept} of {len(whole.plan.convs)} layers stay floats; {what}: {after} "
        f"instead of {before}, {budget.n} images"
    ]
    from edgeshuffle.converter.export.latency import slowdown

    mixed = files_by_format(artifact.manifest.files, "int8")
    with tempfile.TemporaryDirectory() as folder:
        forms = [Form("int8", whole.model, whole.plan)]
        for file in write_models(forms, "whole", formats, folder, batch, choose):
            written = artifact.path(mixed[file.format])
            ratio = slowdown(file.runtime, written, Path(folder) / file.path)
            notes.append(
                f"`max_drop`: {ratio:.2f} times the time of all layers in INT8 in {file.runtime} "
                "(this machine, 1 thread, interleaved)"
            )
    return tuple(notes)
