"""Options to a request: everything that can be checked before anything takes time."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.artifact import RUNTIME_OF_FORMAT, refuse_target
from edgeshuffle.artifact.class_names import read_class_names
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS, ONNX_ACTIVATIONS, ONNX_STYLES
from edgeshuffle.converter.export.batch import check_batch
from edgeshuffle.converter.export.normalisation import (
    check_normalisation,
    of_pixels,
    per_scale,
)
from edgeshuffle.converter.export.pixels import PROBABILITY_TYPES
from edgeshuffle.converter.export.precisions import (
    NONE,
    check_drop,
    check_half,
    check_limits,
    check_quantization,
    images_seen,
)
from edgeshuffle.converter.export.request import (
    DropLimit,
    ExportRequest,
    Gates,
    HalfPrecision,
    InputChoice,
    OnnxFile,
    OnnxForm,
    Quantization,
    ZooModel,
)
from edgeshuffle.converter.export.tune import check_tuning
from edgeshuffle.converter.lower.targets import TARGETS
from edgeshuffle.converter.quant.calibrators import CALIBRATORS
from edgeshuffle.converter.quant.recipe import DEFAULT, LOGITS, Recipe, load_recipe
from edgeshuffle.converter.zoo import Wanted
from edgeshuffle.converter.zoo.cards import find_card
from edgeshuffle.dataset.labels import CLASS_ORDERS
from edgeshuffle.errors import DataError, MissingExtraError, Obstacles, UnknownNameError
from edgeshuffle.host.packaged import CALIBRATION_IMAGES, TEST_IMAGES
from edgeshuffle.untrusted.bounds import MAX_INPUT_SIDE

if TYPE_CHECKING:
    from edgeshuffle.converter.export.options import ExportOptions

BUILD: Final = Path("build")
# With the stem for small images, what comes out of such a side is one value.
_LEAST_SIDE: Final = 8


def resolve(options: ExportOptions) -> ExportRequest:
    """What is asked for; raises EdgeShuffleError with all that stands in the way."""
    obstacles = Obstacles()
    target = None
    with obstacles.noted():
        find_card(options.variant, options.width, options.groups)
        target = _target(options)
    for name in options.formats:
        with obstacles.noted():
            _check_format(name)
    with obstacles.noted():
        _check_choices(options)
    recipe = None
    with obstacles.noted():
        recipe = _recipe(options)
    checks = (_check_model, _check_resolution, check_quantization, check_half, check_limits)
    for check in (*checks, check_drop, check_tuning, check_normalisation):
        with obstacles.noted():
            check(options)
    for name, path in (("calib", options.calib), ("evaluation", options.evaluation)):
        with obstacles.noted():
            _check_exists(name, path)
    labels = None
    with obstacles.noted():
        _check_exists("labels", options.labels)
        labels = None if options.labels is None else read_class_names(options.labels)
    with obstacles.noted():
        check_batch(options.batch, options.formats)
    if target is not None:
        with obstacles.noted():
            refuse_target(target, overwrite=options.overwrite)
    obstacles.refuse()
    unused = options.calib is not None and not (options.int8 or options.fp16)
    return ExportRequest(
        model=_model(options),
        input=InputChoice(
            resolution=_sides(options.resolution),
            channels=options.channels,
            mean=per_scale(options.mean, options.scale, 0.0),
            std=per_scale(options.std, options.scale, 1.0),
        ),
        formats=options.formats,
        onnx=OnnxForm(style=options.onnx_style, activations=options.onnx_activations),
        int8=_quantization(options, recipe) if options.int8 and recipe is not None else None,
        fp16=HalfPrecision(images=images_seen(options)) if options.fp16 else None,
        pixels=options.pixels,
        gates=Gates(min_sqnr=options.min_sqnr, min_agreement=options.min_agreement),
        labels=labels,
        class_folders=() if options.class_order == "index" else _given_folders(options),
        batch=options.batch,
        processor=options.target,
        tune=options.tune,
        target=target,
        overwrite=options.overwrite,
        notes=(
            *(("calib: not used without `int8` or `fp16`",) if unused else ()),
            *of_pixels("mean", None if options.scale else options.mean),
            *of_pixels("std", None if options.scale else options.std),
        ),
    )


def _given_folders(options: ExportOptions) -> tuple[Path, ...]:
    """Where images of classes may lie."""
    given = (options.calib, options.evaluation)
    return tuple(path for path in given if path not in (None, NONE))


def _target(options: ExportOptions) -> Path | None:
    """Where to, if it can be told before the weights are read."""
    if options.output is not None:
        return options.output
    if options.onnx is not None:
        return BUILD / _name(options.onnx)
    if options.weights not in ("demo", "random"):
        return None
    return BUILD / find_card(options.variant, options.width, options.groups).name


def _name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).lstrip(".-")[:100] or "model"


def _model(options: ExportOptions) -> OnnxFile | ZooModel:
    if options.onnx is not None:
        return OnnxFile(path=options.onnx, name=_name(options.onnx), logits=_logits(options))
    return ZooModel(
        wanted=Wanted(
            weights=options.weights,
            variant=options.variant,
            width=options.width,
            groups=options.groups,
            num_classes=options.num_classes,
            stem=options.stem,
            activation=options.activation,
            layout=options.layout,
            key=options.key,
            features=options.features,
        )
    )


def _quantization(options: ExportOptions, recipe: Recipe) -> Quantization:
    drop = None
    if options.max_drop is not None:
        drop = DropLimit(
            max_drop=options.max_drop,
            images=options.evaluation or TEST_IMAGES,
            class_order=options.class_order,
        )
    return Quantization(
        recipe=recipe,
        images=None if options.calib == NONE else options.calib or CALIBRATION_IMAGES,
        limit=options.calib_limit,
        drop=drop,
    )


def _check_format(name: str) -> None:
    """Every file is run before it is kept, so its runtime has to be there."""
    EMITTERS.require(name)
    try:
        RUNTIMES[RUNTIME_OF_FORMAT[name]]
    except MissingExtraError as err:
        raise MissingExtraError(
            f"`formats={name}` checks the files that it writes: {err} Or leave the format out."
        ) from err


def _check_choices(options: ExportOptions) -> None:
    """What the command line offers as choices may come from elsewhere, too."""
    if not options.formats:
        raise UnknownNameError(f"`formats` names no format. Known: {', '.join(EMITTERS)}.")
    for name, value, known in (
        ("onnx_style", options.onnx_style, ONNX_STYLES),
        ("onnx_activations", options.onnx_activations, ONNX_ACTIVATIONS),
        ("target", options.target, tuple(TARGETS)),
        ("class_order", options.class_order, (None, *CLASS_ORDERS)),
        ("logits", _logits(options), (None, *LOGITS)),
        ("pixels", options.pixels, (None, *PROBABILITY_TYPES)),
    ):
        if value not in known:
            choices = ", ".join(one for one in known if one is not None)
            raise UnknownNameError(f"`{name}={value}` is unknown. Known: {choices}.")


def _recipe(options: ExportOptions) -> Recipe:
    if options.calibrator is not None:
        CALIBRATORS.require(options.calibrator)
    recipe = load_recipe(options.recipe or DEFAULT, options.calibrator)
    logits = _logits(options)
    if logits is None or logits == "auto":
        return recipe
    if not options.int8:
        raise UnknownNameError(f"`logits={logits}` is for INT8 files: give `int8`, too.")
    return dataclasses.replace(recipe, logits=logits)


def _logits(options: ExportOptions) -> Literal["auto", "float32", "int8"] | None:
    """Of LOGITS, where they were asked for."""
    if isinstance(options.logits, bool):
        return "auto" if options.logits else None
    return options.logits


def _check_model(options: ExportOptions) -> None:
    zoo_only = {
        "variant": options.variant,
        "width": options.width,
        "groups": options.groups,
        "activation": options.activation,
        "layout": options.layout,
        "features": options.features or None,
        "weights": None if options.weights == "demo" else options.weights,
        "num_classes": options.num_classes,
        "key": options.key,
        "stem": options.stem,
    }
    given = [f"`{name}`" for name, value in zoo_only.items() if value is not None]
    if options.onnx is not None and given:
        raise UnknownNameError(f"`onnx` brings its own network: leave out {', '.join(given)}.")
    if _logits(options) == "auto" and options.onnx is None:
        raise UnknownNameError(
            "`logits` alone is for an `onnx` file, as all other networks end with them. What they "
            "are in INT8 files is `logits=float32` or `logits=int8`."
        )


def _check_resolution(options: ExportOptions) -> None:
    sides = _sides(options.resolution)
    if sides is None:
        return
    height, width = sides
    shown = f"{height}" if height == width else f"{height}x{width}"
    if min(sides) < _LEAST_SIDE:
        raise UnknownNameError(
            f"`resolution={shown}` is below {_LEAST_SIDE}, the least that is supported."
        )
    if max(sides) > MAX_INPUT_SIDE:
        raise UnknownNameError(
            f"`resolution={shown}` is above {MAX_INPUT_SIDE}, the most that is supported."
        )


def _sides(resolution: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width."""
    return (resolution, resolution) if isinstance(resolution, int) else resolution


def _check_exists(name: str, path: Path | None) -> None:
    if path is not None and not path.exists() and (name, path) != ("calib", NONE):
        raise DataError(f"There is nothing at {path}. Check the path given to `{name}`.")
