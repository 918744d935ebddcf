"""The whole way from weights to an artifact: load, simplify, rewrite, quantize, emit, save."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.artifact import LABELS, MANIFEST, Artifact, ModelFile, Precision, refuse_target
from edgeshuffle.atomic import atomic_folder
from edgeshuffle.emit import EMITTERS
from edgeshuffle.errors import MissingExtraError
from edgeshuffle.export.manifest import make_manifest
from edgeshuffle.export.options import ExportOptions, check, model_name
from edgeshuffle.export.source import Source, from_onnx, from_zoo
from edgeshuffle.images import ImageSet, open_images
from edgeshuffle.packaged import CALIBRATION_IMAGES, TEST_IMAGES
from edgeshuffle.passes import run_passes
from edgeshuffle.quant import quantize
from edgeshuffle.quant.recipe import load_recipe

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.export.budget import Budget
    from edgeshuffle.quant import Quantized
    from edgeshuffle.quant.plan import QuantPlan

__all__ = ["ExportOptions", "Exported", "export"]

Progress = Callable[[str, int, int], None]

# Enough images to see a broken quantization in the manifest; `evaluate` measures properly.
_CHECKED_IMAGES: Final = 32


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
    from edgeshuffle.frontend import to_ir  # noqa: PLC0415
    from edgeshuffle.operators import check_core  # noqa: PLC0415
    from edgeshuffle.quant.float_run import check_finite  # noqa: PLC0415

    report("load", 0, 1)
    source = from_onnx(options) if options.onnx is not None else from_zoo(options)
    if options.output is None and options.onnx is None:
        target = Path("build") / source.name
        refuse_target(target, overwrite=options.overwrite)
    report("rewrite", 0, 1)
    model = to_ir(source.proto)
    logs = run_passes(model)
    check_core(model)
    check_finite(model)

    quantized, images = None, None
    if options.int8:
        images = _calibration(options, source)
        report("calibrate", 0, len(images))
        recipe = load_recipe(options.recipe, options.calibrator)
        quantized = quantize(model, images, recipe, report)
    whole, budget = quantized, None
    if quantized is not None and options.max_drop is not None:
        quantized, budget = _within(options, source, model, quantized, report)

    report("write", 0, 1)
    with atomic_folder(target, overwrite=options.overwrite) as folder:
        forms = [_Form("fp32", model, None)]
        if quantized is not None:
            forms.append(_Form("int8", quantized.model, quantized.plan))
        files = _write(forms, source.name, options, folder)
        if source.labels is not None:
            text = "".join(f"{label}\n" for label in source.labels)
            (folder / LABELS).write_text(text, "utf-8")
        manifest = make_manifest(source, model, logs, files, options, quantized, images, budget)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
        if images is not None:
            metrics = _check_int8(Artifact(folder, manifest), options, report)
            manifest = dataclasses.replace(manifest, metrics=metrics)
            (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    left = tuple(f"{log.name}: {reason}" for log in logs for reason in log.outcome.left)
    unused = options.calib is not None and not options.int8
    notes = ("calib: not used without --int8",) if unused else ()
    artifact = Artifact(target, manifest)
    if whole is not None and budget is not None:
        notes = (*notes, *_of_budget(budget, artifact, whole, options))
    return Exported(artifact, (*source.notes, *notes, *left))


def _within(
    options: ExportOptions, source: Source, model: ir.Model, quantized: Quantized, report: Progress
) -> tuple[Quantized, Budget]:
    from edgeshuffle.export.budget import keep_in_float  # noqa: PLC0415

    assert options.max_drop is not None
    images = open_images(
        options.evaluation or TEST_IMAGES,
        source.preprocess,
        num_classes=_classes(model),
        class_names=source.labels,
    )
    plan, budget = keep_in_float(
        model, quantized.model, quantized.plan, images, options.max_drop, report
    )
    return dataclasses.replace(quantized, plan=plan), budget


def _classes(model: ir.Model) -> int:
    from edgeshuffle import graph as g  # noqa: PLC0415

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
    from edgeshuffle.export.cost import slowdown  # noqa: PLC0415

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


def _check_int8(artifact: Artifact, options: ExportOptions, report: Progress) -> dict[str, Any]:
    from edgeshuffle.evaluate import EvaluateOptions, evaluate  # noqa: PLC0415

    found = evaluate(
        EvaluateOptions(
            artifact=artifact,
            data=options.calib or CALIBRATION_IMAGES,
            labelled=False,
            limit=_CHECKED_IMAGES,
        ),
        lambda done, total: report("check", done, total),
    )
    return {
        "reference": found.reference,
        "calibration_images": found.n,
        "files": {
            result.file: {"agreement": result.agreement, "sqnr_db": result.sqnr_db}
            for result in found.results
        },
    }
