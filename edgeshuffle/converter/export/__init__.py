"""The whole way from weights to an artifact: load, simplify, rewrite, quantize, emit, save."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.artifact import LABELS, MANIFEST, Artifact, ModelFile, Precision, refuse_target
from edgeshuffle.atomic import atomic_folder
from edgeshuffle.class_names import class_names_text
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.export.manifest import make_manifest
from edgeshuffle.converter.export.options import ExportOptions, check, model_name
from edgeshuffle.converter.export.proof import prove
from edgeshuffle.converter.export.quality import check_limits, measure, warnings
from edgeshuffle.converter.export.source import Source, from_onnx, from_zoo
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.dataset import ImageSet, open_images
from edgeshuffle.errors import MissingExtraError, WeightsError
from edgeshuffle.manifest import LabelsFile
from edgeshuffle.packaged import CALIBRATION_IMAGES, TEST_IMAGES

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.export.budget import Budget
    from edgeshuffle.converter.plan import QuantPlan
    from edgeshuffle.converter.quant import Quantized
    from edgeshuffle.progress import Progress

__all__ = ["ExportOptions", "Exported", "export"]

# Enough images to see a broken quantization in the manifest; `evaluate` measures properly. A float
# file needs but a handful.
_CHECKED_IMAGES: Final = 32
_FLOAT_IMAGES: Final = 8


@dataclass(frozen=True)
class Exported:
    """The artifact on disk, and what the user should know of how it was made."""

    artifact: Artifact
    notes: tuple[str, ...]


def export(options: ExportOptions, progress: Progress | None = None) -> Exported:
    """Make the artifact folder; nothing is left behind if anything fails.

    `progress(stage, done, total)` is called as the work goes on. Raises EdgeShuffleError.
    """
    report = progress or (lambda _stage, _done, _total: None)
    target = options.output or Path("build") / model_name(options)
    check(options, target)
    try:
        return _export(options, target, report)
    except ModuleNotFoundError as err:
        if (err.name or "").startswith("edgeshuffle"):
            raise
        raise MissingExtraError(
            f"Exporting needs the package '{err.name}': pip install 'edgeshuffle[export]'."
        ) from err


def _export(options: ExportOptions, target: Path, report: Progress) -> Exported:
    from edgeshuffle.converter.frontend import to_ir
    from edgeshuffle.converter.operators.check import check_core
    from edgeshuffle.converter.quant.float_run import check_finite

    report("load", 0, 1)
    source = from_onnx(options) if options.onnx is not None else from_zoo(options)
    if options.output is None and options.onnx is None:
        target = Path("build") / source.name
        refuse_target(target, overwrite=options.overwrite)
    report("rewrite", 0, 1)
    model = to_ir(source.proto)
    source = dataclasses.replace(source, proto=None)
    logs = run_passes(model)
    check_core(model)
    check_finite(model)

    quantized, recipe, images = None, None, None
    if options.int8:
        images = _calibration(options, source)
        report("calibrate", 0, len(images))
        recipe = load_recipe(options.recipe, options.calibrator)
        quantized = quantize(model, images, recipe, report)
    whole, budget, order = quantized, None, None
    if quantized is not None and options.max_drop is not None:
        judges = _evaluation(options, source, model)
        order = judges.class_order
        quantized, budget = _within(options.max_drop, judges, model, quantized, report)

    report("write", 0, 1)
    with atomic_folder(target, overwrite=options.overwrite) as folder:
        forms = [_Form("fp32", model, None)]
        if quantized is not None:
            forms.append(_Form("int8", quantized.model, quantized.plan))
        files = _write(forms, source.name, options, folder)
        labels = _write_labels(source, files, folder)
        checked = _checked_images(options, source, images)
        proved = prove(source.reference, files, folder, checked, report)
        metrics: dict[str, Any] = {}
        odd: tuple[str, ...] = ()
        if images is not None and checked is not None:
            metrics = measure(files, proved.logits, checked.digest)
            check_limits(files, metrics, options)
            odd = warnings(files, metrics, checked, len(images))
        manifest = dataclasses.replace(
            make_manifest(source, model, logs, files, options, quantized, recipe, images, budget),
            labels=labels,
            proof=proved.proof,
            metrics=metrics,
            warnings=odd,
        )
        text = manifest.to_json().encode()
        (folder / MANIFEST).write_bytes(text)
    left = tuple(f"{log.name}: {reason}" for log in logs for reason in log.outcome.left)
    unused = options.calib is not None and not options.int8
    notes = ("calib: not used without --int8",) if unused else ()
    artifact = Artifact(target, manifest, hashlib.sha256(text).hexdigest(), source.labels)
    if order is not None and order.note is not None:
        notes = (*notes, order.note)
    if whole is not None and budget is not None:
        notes = (*notes, *_of_budget(budget, artifact, whole, options))
    return Exported(artifact, (*source.notes, *notes, *left))


def _evaluation(options: ExportOptions, source: Source, model: ir.Model) -> ImageSet:
    return open_images(
        options.evaluation or TEST_IMAGES,
        source.preprocess,
        num_classes=_classes(model),
        class_names=source.labels,
        class_order=options.class_order,
    )


def _within(
    max_drop: float, images: ImageSet, model: ir.Model, quantized: Quantized, report: Progress
) -> tuple[Quantized, Budget]:
    from edgeshuffle.converter.export.budget import keep_in_float

    plan, budget = keep_in_float(model, quantized.model, quantized.plan, images, max_drop, report)
    return dataclasses.replace(quantized, plan=plan), budget


def _classes(model: ir.Model) -> int:
    from edgeshuffle.converter import graph as g

    return math.prod(g.shape_of(model.graph.outputs[0]))


def _of_budget(
    budget: Budget, artifact: Artifact, whole: Quantized, options: ExportOptions
) -> tuple[str, ...]:
    what = "top-1 lost" if budget.metric == "top1_drop" else "other labels"
    before, after = (
        f"{loss.value:.2f} ±{loss.standard_error:.2f}" for loss in (budget.before, budget.after)
    )
    kept = len(budget.float_layers)
    if not kept:
        return (f"max-drop: met without layers in float ({what}: {after}, {budget.n} images)",)
    notes = [
        f"max-drop: {kept} of {len(whole.plan.convs)} layers stay floats; {what}: {after} instead "
        f"of {before}, {budget.n} images"
    ]
    from edgeshuffle.converter.export.cost import slowdown

    with tempfile.TemporaryDirectory() as folder:
        for file in _write([_Form("int8", whole.model, whole.plan)], "whole", options, folder):
            mixed = next(
                f
                for f in artifact.manifest.files
                if (f.format, f.precision) == (file.format, "int8")
            )
            ratio = slowdown(file.runtime, artifact.path(mixed), Path(folder) / file.path)
            notes.append(
                f"max-drop: {ratio:.2f} times the time of all layers in INT8 in {file.runtime} "
                "(this machine, 1 thread, interleaved)"
            )
    return tuple(notes)


def _calibration(options: ExportOptions, source: Source) -> ImageSet:
    path = options.calib or CALIBRATION_IMAGES
    return open_images(path, source.preprocess, limit=options.calib_limit)


@dataclass(frozen=True)
class _Form:
    """A graph to write, and how it is quantized."""

    precision: Precision
    model: ir.Model
    plan: QuantPlan | None


def _write(
    forms: list[_Form], name: str, options: ExportOptions, folder: Path | str
) -> tuple[ModelFile, ...]:
    files = []
    for format_name in options.formats:
        emitter = EMITTERS[format_name]
        for form in forms:
            emitted = emitter.emit(form.model, form.plan, **options.choices(format_name))
            path = f"{name}_{form.precision}{emitter.SUFFIX}"
            (Path(folder) / path).write_bytes(emitted.data)
            files.append(
                ModelFile(
                    path=path,
                    format=format_name,
                    precision=form.precision,
                    bytes=len(emitted.data),
                    sha256=hashlib.sha256(emitted.data).hexdigest(),
                    input=emitted.input,
                    output=emitted.output,
                    ops=emitted.ops,
                )
            )
    return tuple(files)


def _write_labels(source: Source, files: tuple[ModelFile, ...], folder: Path) -> LabelsFile | None:
    if source.labels is None:
        return None
    classes = math.prod(files[0].output.shape)
    if len(source.labels) != classes:
        raise WeightsError(
            f"There are {len(source.labels)} class names for {classes} classes. Give the weights "
            "that they belong to."
        )
    raw = class_names_text(source.labels)
    (folder / LABELS).write_bytes(raw)
    return LabelsFile(path=LABELS, count=classes, sha256=hashlib.sha256(raw).hexdigest())


def _checked_images(
    options: ExportOptions, source: Source, calibration: ImageSet | None
) -> ImageSet | None:
    """Some real images, where there are any."""
    if calibration is not None:
        return calibration.some(_CHECKED_IMAGES)
    if options.onnx is None and options.weights == "demo":
        return open_images(CALIBRATION_IMAGES, source.preprocess, limit=_FLOAT_IMAGES)
    return None
