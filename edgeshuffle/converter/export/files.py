"""Write the files of an artifact, and describe them for its manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeshuffle.artifact import LABELS, ModelFile, Precision
from edgeshuffle.artifact.class_names import class_names_text
from edgeshuffle.artifact.lowering import Rewritten
from edgeshuffle.artifact.manifest import LabelsFile
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.export.about import can_be_probabilities
from edgeshuffle.converter.export.batch import Batch, opened, with_batch
from edgeshuffle.converter.export.labels import check_count
from edgeshuffle.converter.lower import lower
from edgeshuffle.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.export.about import About
    from edgeshuffle.converter.lower import Lowering
    from edgeshuffle.converter.plan import QuantPlan

    Choose = Callable[[str, Precision], Lowering]


@dataclass(frozen=True)
class Form:
    """A graph to write, and how it is quantized."""

    precision: Precision
    model: ir.Model
    plan: QuantPlan | None


def nothing(format_name: str, precision: str) -> Lowering:  # noqa: ARG001
    """No lowering."""
    return {}


def write_models(
    forms: Sequence[Form],
    name: str,
    formats: Mapping[str, Mapping[str, str]],
    folder: Path | str,
    batch: Batch = 1,
    choose: Choose = nothing,
    about: About | None = None,
) -> tuple[ModelFile, ...]:
    """Each form in each format that has its precision, whose writers take the given choices,
    lowered as `choose` says for its format and precision. `about` is what files say of themselves,
    and how those that read pixels normalise them. Raises ModelError.
    """
    files = []
    size = 1 if batch == "dynamic" else batch
    if batch != 1:
        forms = [replace(form, model=with_batch(form.model, size)) for form in forms]
    for format_name, choices in formats.items():
        emitter = EMITTERS[format_name]
        for form in forms:
            if form.precision not in emitter.PRECISIONS:
                continue
            pixels = form.precision == "pixels"
            base: Precision | None = None
            if pixels:
                base = "fp32" if form.plan is None else "int8"
            lowering = choose(format_name, base or form.precision)
            lowered = lower(form.model, form.plan, lowering)
            model, plan, softmax = lowered.model, lowered.plan, False
            if pixels:
                from edgeshuffle.converter.export.pixel_graph import with_pixels

                assert about is not None
                softmax = can_be_probabilities(form.model)
                model, plan = with_pixels(
                    model, plan, about.preprocess, format_name, softmax=softmax
                )
            given: dict[str, Any] = dict(choices)
            if form.precision == "fp16":
                given["floats"] = "fp16"
            said = None if about is None else about.of(form.model, form.precision)
            emitted = emitter.emit(model, plan, metadata=said, pixels=pixels, **given)
            data = opened(emitted.data) if batch == "dynamic" else emitted.data
            path = f"{name}_{form.precision}{emitter.SUFFIX}"
            (Path(folder) / path).write_bytes(data)
            files.append(
                ModelFile(
                    path=path,
                    format=format_name,
                    precision=form.precision,
                    bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    input=emitted.input,
                    outputs=emitted.outputs,
                    ops=emitted.ops,
                    base=base,
                    softmax=softmax,
                    lowering=tuple(
                        Rewritten(name=name, numbers=lowering[name], count=count)
                        for name, count in lowered.counts.items()
                    ),
                )
            )
    return tuple(files)


def write_labels(
    labels: tuple[str, ...] | None, files: Sequence[ModelFile], folder: Path
) -> LabelsFile | None:
    """The class names, where there are any; raises WeightsError for too few or too many."""
    if labels is None:
        return None
    classes = files[0].classes
    if classes is None:
        raise WeightsError(
            f"There are {len(labels)} class names, but the model is no classifier: it does not "
            "give one number a class. Leave them out."
        )
    check_count(labels, classes)
    raw = class_names_text(labels)
    (folder / LABELS).write_bytes(raw)
    return LabelsFile(path=LABELS, count=classes, sha256=hashlib.sha256(raw).hexdigest())
