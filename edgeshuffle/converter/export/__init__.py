"""The whole way from weights to an artifact: load, simplify, rewrite, quantize, emit, save."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.artifact import MANIFEST, Artifact, refuse_target
from edgeshuffle.converter.export.about import About
from edgeshuffle.converter.export.describe import make_manifest, quantization_entry
from edgeshuffle.converter.export.files import Form, write_labels, write_models
from edgeshuffle.converter.export.half import make_half, prove_unrounded
from edgeshuffle.converter.export.labels import check_count, find_names
from edgeshuffle.converter.export.options import ExportOptions
from edgeshuffle.converter.export.pixel_proof import prove_pixels
from edgeshuffle.converter.export.pixels import pixel_form, pixel_notes, with_probabilities
from edgeshuffle.converter.export.proof import prove
from edgeshuffle.converter.export.quality import (
    CHECKED_IMAGES,
    check_limits,
    measure,
    of_calibration,
    one_class,
    warnings,
)
from edgeshuffle.converter.export.quantization import budget_notes, make_int8
from edgeshuffle.converter.export.resolve import BUILD, resolve
from edgeshuffle.converter.export.source import Source, open_source
from edgeshuffle.converter.graph import shape_of
from edgeshuffle.converter.lower.targets import lowering_for
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.dataset import ImageSet, open_images
from edgeshuffle.errors import ModelError, needs_extra
from edgeshuffle.host.atomic import atomic_folder
from edgeshuffle.host.packaged import CALIBRATION_IMAGES
from edgeshuffle.progress import in_steps, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from edgeshuffle.converter.export.batch import Batch
    from edgeshuffle.converter.export.half import Half
    from edgeshuffle.converter.export.quantization import Int8
    from edgeshuffle.converter.export.request import ExportRequest
    from edgeshuffle.converter.export.tune import Tuned
    from edgeshuffle.converter.passes import PassLog
    from edgeshuffle.progress import Progress

__all__ = ["ExportOptions", "Exported", "export"]

# `evaluate` measures properly. A float file needs but a handful.
_FLOAT_IMAGES: Final = 8


@dataclass(frozen=True)
class Exported:
    """The artifact on disk, and what the user should know of how it was made."""

    artifact: Artifact
    notes: tuple[str, ...]


def export(options: ExportOptions, progress: Progress | None = None) -> Exported:
    """Make the artifact folder; nothing is left behind if anything fails.

    `progress(stage, done, total)` is called as the work goes on. Raises UnknownNameError for
    options that do not fit, WeightsError, ModelError and DataError for files, MissingExtraError,
    RuntimeUnavailableError, PassError where a written file does not compute what it was made from,
    GateError where a limit is missed, and ArtifactError where the folder cannot be written.
    """
    request = resolve(options)
    with needs_extra("Exporting", "export"):
        return _export(request, in_steps(progress or silent, _stages(request)))


def _stages(request: ExportRequest) -> list[str]:
    """What is reported, in order; `max_drop` adds some whose number nobody knows."""
    from edgeshuffle.converter.quant.refiners import REFINERS

    if request.int8 is None:
        return ["load", "rewrite", "write", "check"]
    # Only where INT8 is made: this loads torch.
    from edgeshuffle.converter.quant.synthesis import STAGE

    steps = [REFINERS[step].STAGE for step in request.int8.recipe.steps]
    made_up = [STAGE] if request.int8.images is None else []
    return ["load", "rewrite", *made_up, "calibrate", *steps, "write", "check"]


def _export(request: ExportRequest, report: Progress) -> Exported:
    from edgeshuffle.converter.operators.check import keep
    from edgeshuffle.converter.quant.float_run import check_finite

    report("load", 0, 1)
    source = _with_labels(open_source(request.model, request.input), request)
    target = request.target or _named(source, overwrite=request.overwrite)
    report("rewrite", 0, 1)
    model = source.model
    logs = run_passes(model)
    kept = keep(model)
    formats = _formats(request, kept)
    batch = request.batch or source.batch
    check_finite(model)
    int8 = None if request.int8 is None else make_int8(request.int8, source, model, report)
    half = None
    if request.fp16 is not None and "tflite" in formats:
        half = make_half(request.fp16, source, model, report)

    report("write", 0, 1)
    with atomic_folder(target, overwrite=request.overwrite) as folder:
        others = (one.form for one in (half, int8) if one is not None)
        forms = [Form("fp32", model, None), *others]
        about = About(source.name, source.preprocess, source.labels)
        tuned = _tuned(request, forms, formats, batch, report, about)
        params = None if int8 is None else int8.input
        choose = partial(lowering_for, request.processor) if tuned is None else tuned.choose
        files = write_models(forms, source.name, formats, folder, batch, choose, about)
        labels = write_labels(source.labels, files, folder)
        checked = _checked_images(source, int8, half)
        steps = None if int8 is None else int8.steps
        dynamic = batch == "dynamic"
        if half is not None:
            prove_unrounded(half, source, batch, choose, report)
        proved = prove(source.reference, files, folder, checked, steps, report, dynamic=dynamic)
        if request.pixels is not None:
            form = forms[0] if int8 is None else int8.form
            kinds = with_probabilities(formats, request.pixels)
            made = [pixel_form(form)]
            files += write_models(made, source.name, kinds, folder, batch, choose, about)
            files = tuple(sorted(files, key=lambda file: list(formats).index(file.format)))
            proved = prove_pixels(proved, files, folder, source.preprocess, params, checked)
        metrics: dict[str, Any] = {}
        odd: tuple[str, ...] = ()
        quantization = None
        if half is not None:
            odd = half.warnings
        if (int8 is not None or half is not None) and checked is not None:
            metrics = measure(files, proved.outputs, checked.digest)
            check_limits(files, metrics, request.gates)
            if int8 is not None and int8.drift is not None:
                odd = (*odd, *one_class(files, proved.outputs))
            odd = (*odd, *warnings(files, metrics))
        if int8 is not None and checked is not None:
            odd = (
                *of_calibration(checked, len(int8.calibration)),
                *int8.unlike,
                *odd,
            )
            quantization = quantization_entry(int8, request.onnx)
        manifest = dataclasses.replace(
            make_manifest(source, model, logs, files, quantization),
            labels=labels,
            proof=proved.proof,
            metrics=metrics,
            warnings=odd,
            target=request.processor,
            half_range=None if half is None else half.reached,
            tuning=None if tuned is None else tuned.tuning,
        )
        text = manifest.to_json().encode()
        (folder / MANIFEST).write_bytes(text)
    artifact = Artifact(target, manifest, hashlib.sha256(text).hexdigest(), source.labels)
    notes = (*source.notes, *request.notes, *(() if tuned is None else tuned.notes))
    if half is not None:
        notes = (*notes, *half.notes)
    if request.pixels is not None:
        notes = (*notes, *pixel_notes(source.preprocess, params))
    if int8 is not None:
        notes = (*notes, *int8.notes, *budget_notes(int8, artifact, formats, batch, choose))
    if kept:
        missing = set(request.formats) - formats.keys()
        without = "; there is no TFLite file without them" if missing else ""
        notes = (*notes, f"kept in float, as they are: {'; '.join(kept)}{without}")
    return Exported(artifact, (*notes, *_left(logs)))


def _tuned(
    request: ExportRequest,
    forms: Sequence[Form],
    formats: Mapping[str, Mapping[str, str]],
    batch: Batch,
    report: Progress,
    about: About,
) -> Tuned | None:
    """What the candidates cost on the device that was asked for."""
    if request.tune is None:
        return None
    from edgeshuffle.converter.export.tune import tune

    return tune(forms, formats, batch, request.processor, request.tune, report, about)


def _left(logs: Sequence[PassLog]) -> Iterator[str]:
    """A line a pass on what it left as it was."""
    for log in logs:
        if log.outcome.left:
            first, *others = log.outcome.left
            more = f" (and {len(others)} more: see {MANIFEST})" if others else ""
            yield f"{log.name}: {first}{more}"


def _formats(request: ExportRequest, kept: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Those that can be written, with what their writers let one choose; raises ModelError where
    none can.
    """
    written = [name for name in request.formats if name == "onnx" or not kept]
    if not written:
        raise ModelError(
            f"These cannot be written as {' or '.join(request.formats)}: {'; '.join(kept)}. Give "
            "`formats=onnx`, where they stay as they are, in float."
        )
    chosen = dataclasses.asdict(request.onnx)
    return {name: chosen if name == "onnx" else {} for name in written}


def _with_labels(source: Source, request: ExportRequest) -> Source:
    """The class names that were given, or else those that are found; raises WeightsError."""
    outputs = source.model.graph.outputs
    shape = shape_of(outputs[0])
    count = shape[1] if len(outputs) == 1 and len(shape) == 2 else None
    if request.labels is not None:
        if count is not None:
            check_count(request.labels, count)
        return dataclasses.replace(source, labels=request.labels)
    if source.labels is not None:
        return source
    labels, notes = find_names(source.classes, request.class_folders, count)
    return dataclasses.replace(source, labels=labels, notes=(*source.notes, *notes))


def _named(source: Source, *, overwrite: bool) -> Path:
    """Where an artifact lies that only its weights could name."""
    target = BUILD / source.name
    refuse_target(target, overwrite=overwrite)
    return target


def _checked_images(source: Source, int8: Int8 | None, half: Half | None) -> ImageSet | None:
    """Some real images, where there are any."""
    if int8 is not None:
        return int8.calibration.some(CHECKED_IMAGES)
    if half is not None:
        return half.images
    if source.source["kind"] == "demo":
        return open_images(CALIBRATION_IMAGES, source.preprocess, limit=_FLOAT_IMAGES)
    return None
