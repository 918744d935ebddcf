"""The whole way from weights to an artifact: load, simplify, rewrite, quantize, emit, save."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgeshuffle import __version__, zoo
from edgeshuffle.artifact import (
    LABELS,
    MANIFEST,
    SCHEMA_VERSION,
    Artifact,
    Manifest,
    ModelFile,
    Precision,
    Preprocess,
)
from edgeshuffle.atomic import atomic_folder, refuse_existing
from edgeshuffle.emit import EMITTERS
from edgeshuffle.errors import DataError, MissingExtraError, UnknownNameError
from edgeshuffle.images import ImageSet, open_images
from edgeshuffle.passes import PassLog, run_passes
from edgeshuffle.quant import quantize
from edgeshuffle.quant.calibrators import CALIBRATORS
from edgeshuffle.quant.plan import QuantPlan, Recipe
from edgeshuffle.zoo.cards import card_of_width, load_card
from edgeshuffle.zoo.demo import CALIBRATION_IMAGES

if TYPE_CHECKING:
    import onnx_ir as ir

Progress = Callable[[str, int, int], None]

CIFAR_RESOLUTION: Final = 32
_TOOLS: Final = (
    "ai-edge-litert", "flatbuffers", "numpy", "onnx", "onnx-ir", "onnxruntime", "onnxscript",
    "onnxsim", "torch",
)  # fmt: skip
# Enough images to see a broken quantization in the manifest; `evaluate` measures properly.
_CHECKED_IMAGES: Final = 32


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export. None means: what the checkpoint, the model file or the card says."""

    width: float | None = None
    onnx: Path | None = None
    weights: str = "demo"
    num_classes: int | None = None
    resolution: int | None = None
    stem: str | None = None
    formats: tuple[str, ...] = ("onnx", "tflite")
    onnx_style: str = "qdq"
    int8: bool = False
    calib: Path | None = None
    calib_limit: int | None = None
    calibrator: str = "mse"
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    output: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """The artifact on disk, and what the user should know of how it was made."""

    artifact: Artifact
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """A float ONNX model with everything the manifest says of where it came from."""

    name: str
    proto: Any
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    source: dict[str, Any]
    notes: tuple[str, ...]


def export(options: ExportOptions, progress: Progress | None = None) -> Exported:
    """Make the artifact folder; nothing is left behind if anything fails.

    `progress(stage, done, total)` is called as the work goes on. Raises EdgeShuffleError.
    """
    report = progress or (lambda _stage, _done, _total: None)
    target = options.output or Path("build") / _model_name(options)
    _check(options, target)
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
    from edgeshuffle.frontend.opset import check_core  # noqa: PLC0415

    report("load", 0, 1)
    source = _from_onnx(options) if options.onnx is not None else _from_zoo(options)
    if options.output is None and options.onnx is None:
        target = Path("build") / source.name
        refuse_existing(target, overwrite=options.overwrite)
    report("rewrite", 0, 1)
    model = to_ir(source.proto)
    logs = run_passes(model)
    check_core(model)

    plan, images = None, None
    if options.int8:
        images = _calibration(options, source)
        count = len(images)
        done = iter(range(1, count + 1))
        report("calibrate", 0, count)
        recipe = Recipe(calibrator=options.calibrator)
        plan = quantize(model, images, recipe, lambda: report("calibrate", next(done), count))

    report("write", 0, 1)
    with atomic_folder(target, overwrite=options.overwrite) as folder:
        files = _write(model, plan, source.name, options, folder)
        if source.labels is not None:
            text = "".join(f"{label}\n" for label in source.labels)
            (folder / LABELS).write_text(text, "utf-8")
        manifest = _manifest(source, model, logs, files, options, plan, images)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
        if images is not None:
            metrics = _check_int8(Artifact(folder, manifest), options, report)
            manifest = dataclasses.replace(manifest, metrics=metrics)
            (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    left = tuple(f"{log.name}: {reason}" for log in logs for reason in log.outcome.left)
    return Exported(Artifact(target, manifest), source.notes + left)


def _check(options: ExportOptions, target: Path) -> None:
    """Refuse what cannot work before anything takes time."""
    for name in options.formats:
        if name not in EMITTERS:
            EMITTERS[name]
    if options.calibrator not in CALIBRATORS:
        CALIBRATORS[options.calibrator]
    if options.onnx is not None and (options.width is not None or options.weights != "demo"):
        raise UnknownNameError("--onnx brings its own network: leave out --width and --weights.")
    if options.resolution is not None and options.resolution < 32:
        raise UnknownNameError(
            f"--resolution {options.resolution} is below 32, ShuffleNetV2's total stride."
        )
    own = options.onnx is not None or options.weights != "demo"
    if options.int8 and own and options.calib is None:
        raise DataError(
            "--int8 needs calibration images of your own data: --calib FOLDER or --calib FILE.npz "
            "(100 to 1,000 images, labels not needed)."
        )
    if options.calib is not None and not options.calib.exists():
        raise DataError(f"There is nothing at {options.calib}. Check the path given to --calib.")
    if options.std is not None and not all(value > 0 for value in options.std):
        raise UnknownNameError("--std must be positive in every channel.")
    if options.output is not None or options.onnx is not None or options.weights == "demo":
        refuse_existing(target, overwrite=options.overwrite)


def _model_name(options: ExportOptions) -> str:
    if options.onnx is not None:
        return re.sub(r"[^A-Za-z0-9._-]+", "_", options.onnx.stem).lstrip(".") or "model"
    return card_of_width(1.0 if options.width is None else options.width).name


def _from_zoo(options: ExportOptions) -> _Source:
    loaded = zoo.load(
        width=options.width,
        weights=options.weights,
        num_classes=options.num_classes,
        resolution=options.resolution,
        stem=options.stem,
    )
    from edgeshuffle.frontend.torch_module import to_onnx  # noqa: PLC0415

    resolution = options.resolution
    if resolution is None and loaded.source["stem"] == "cifar":
        resolution = CIFAR_RESOLUTION
    preprocess = _preprocess(options, loaded.preprocess, resolution)
    return _Source(
        loaded.card.name,
        to_onnx(loaded.module, preprocess.crop),
        preprocess,
        loaded.labels,
        loaded.source,
        loaded.notes,
    )


def _from_onnx(options: ExportOptions) -> _Source:
    from edgeshuffle.frontend.onnx_file import read_onnx  # noqa: PLC0415

    assert options.onnx is not None
    proto = read_onnx(options.onnx, options.resolution)
    constants = {tensor.name for tensor in proto.graph.initializer}
    entry = next(value for value in proto.graph.input if value.name not in constants)
    side = entry.type.tensor_type.shape.dim[2].dim_value
    digest = hashlib.sha256(options.onnx.read_bytes()).hexdigest()
    return _Source(
        _model_name(options),
        proto,
        _preprocess(options, load_card("shufflenet_v2_x1_0").preprocess, side),
        None,
        {"kind": "onnx", "file": options.onnx.name, "sha256": digest},
        () if options.mean else ("mean and std: ImageNet's (--mean and --std set them)",),
    )


def _preprocess(options: ExportOptions, card: Preprocess, resolution: int | None) -> Preprocess:
    crop = card.crop if resolution is None else resolution
    # Small networks see whole pictures; the margin of the card's crop belongs to photographs.
    resize = crop if crop <= zoo.SMALL_INPUT else round(card.resize * crop / card.crop)
    return Preprocess(
        resize=resize, crop=crop, mean=options.mean or card.mean, std=options.std or card.std
    )


def _calibration(options: ExportOptions, source: _Source) -> ImageSet:
    path = options.calib or CALIBRATION_IMAGES
    return open_images(path, source.preprocess, limit=options.calib_limit)


def _write(
    model: ir.Model,
    plan: QuantPlan | None,
    name: str,
    options: ExportOptions,
    folder: Path,
) -> tuple[ModelFile, ...]:
    files = []
    precisions: list[tuple[Precision, QuantPlan | None]] = [("fp32", None)]
    if plan is not None:
        precisions.append(("int8", plan))
    for format_name in options.formats:
        emitter = EMITTERS[format_name]
        for precision, chosen in precisions:
            emitted = emitter.emit(
                model, chosen, style=options.onnx_style if format_name == "onnx" else ""
            )
            path = f"{name}_{precision}{emitter.SUFFIX}"
            (folder / path).write_bytes(emitted.data)
            files.append(
                ModelFile(
                    path=path,
                    format=format_name,
                    precision=precision,
                    bytes=len(emitted.data),
                    sha256=hashlib.sha256(emitted.data).hexdigest(),
                    input=emitted.input,
                    output=emitted.output,
                    ops=emitted.ops,
                )
            )
    return tuple(files)


def _manifest(
    source: _Source,
    model: ir.Model,
    logs: Sequence[PassLog],
    files: tuple[ModelFile, ...],
    options: ExportOptions,
    plan: QuantPlan | None,
    images: ImageSet | None,
) -> Manifest:
    macs, parameters = _size(model)
    quantization = None
    if plan is not None and images is not None:
        quantization = {
            "recipe": dataclasses.asdict(Recipe(calibrator=options.calibrator)),
            "onnx_style": options.onnx_style,
            "calibration_images": len(images),
            "calibration_sha256": images.digest,
            "input": dataclasses.asdict(plan.activations[model.graph.inputs[0].name or ""]),
            "output": dataclasses.asdict(plan.activations[model.graph.outputs[0].name or ""]),
        }
    return Manifest(
        schema_version=SCHEMA_VERSION,
        model=source.name,
        source=source.source,
        num_classes=files[0].output.shape[-1],
        preprocess=source.preprocess,
        passes=tuple(
            {"name": log.name, "rewrites": log.outcome.rewrites, "left": list(log.outcome.left)}
            for log in logs
        ),
        quantization=quantization,
        metrics={},
        macs=macs,
        parameters=parameters,
        tools={"edgeshuffle": __version__, **{name: metadata.version(name) for name in _TOOLS}},
        files=files,
    )


def _size(model: ir.Model) -> tuple[int, int]:
    """Multiply-accumulates an image, and parameters after folding."""
    from edgeshuffle import graph as g  # noqa: PLC0415

    macs = parameters = 0
    for node in model.graph:
        if node.op_type == "Conv":
            arrays = [g.constant(value) for value in node.inputs[1:]]
            sizes = [array.size for array in arrays if array is not None]
            pixels = int(np.prod(g.shape_of(node.outputs[0])[2:]))
            macs += pixels * sizes[0]
            parameters += sum(sizes)
    return macs, parameters


def _check_int8(artifact: Artifact, options: ExportOptions, report: Progress) -> dict[str, Any]:
    from edgeshuffle.evaluate import EvaluateOptions, evaluate  # noqa: PLC0415

    found = evaluate(
        EvaluateOptions(
            artifact=artifact, data=options.calib or CALIBRATION_IMAGES, limit=_CHECKED_IMAGES
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
