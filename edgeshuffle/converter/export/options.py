"""What can be asked of an export, and what cannot."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact import RUNTIME_OF_FORMAT, refuse_target
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.quant.calibrators import CALIBRATORS
from edgeshuffle.converter.quant.recipe import DEFAULT, load_recipe
from edgeshuffle.converter.zoo.cards import card_of_width
from edgeshuffle.errors import DataError, MissingExtraError, UnknownNameError
from edgeshuffle.limits import check_limit
from edgeshuffle.memory import MAX_SIDE
from edgeshuffle.runtimes import RUNTIMES

if TYPE_CHECKING:
    from pathlib import Path

_LEAST_STD: Final = 1e-6
_MOST: Final = 1e6


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export. None means: what the checkpoint, the model file or the card says.

    `max_drop` is in points, `min_sqnr` in dB and `min_agreement` in percent: limits of INT8 files,
    with GateError where one is missed. `class_order` (`index` or `sorted`) tells how the class
    folders of `evaluation` are told apart.
    """

    width: float | None = None
    onnx: Path | None = None
    weights: str = "demo"
    key: str | None = None
    num_classes: int | None = None
    resolution: int | None = None
    stem: str | None = None
    formats: tuple[str, ...] = ("onnx", "tflite")
    onnx_style: str = "qdq"
    onnx_activations: str = "uint8"
    int8: bool = False
    calib: Path | None = None
    calib_limit: int | None = None
    recipe: str = DEFAULT
    calibrator: str | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    max_drop: float | None = None
    min_sqnr: float | None = None
    min_agreement: float | None = None
    class_order: str | None = None
    evaluation: Path | None = None
    output: Path | None = None
    overwrite: bool = False

    def choices(self, format_name: str) -> dict[str, str]:
        """What the writer of a format lets one choose."""
        if format_name != "onnx":
            return {}
        return {"style": self.onnx_style, "activations": self.onnx_activations}


def check(options: ExportOptions, target: Path) -> None:
    """Refuse what cannot work before anything takes time; raises EdgeShuffleError."""
    for name in options.formats:
        if name not in EMITTERS:
            EMITTERS[name]
        _check_runtime(name)
    if options.calibrator is not None and options.calibrator not in CALIBRATORS:
        CALIBRATORS[options.calibrator]
    load_recipe(options.recipe)
    zoo_only = {
        "--width": options.width,
        "--weights": None if options.weights == "demo" else options.weights,
        "--num-classes": options.num_classes,
        "--key": options.key,
        "--stem": options.stem,
    }
    for name, value in zoo_only.items():
        if options.onnx is not None and value is not None:
            raise UnknownNameError(f"--onnx brings its own network: leave out {name}.")
    if options.resolution is not None and options.resolution < 32:
        raise UnknownNameError(
            f"--resolution {options.resolution} is below 32, ShuffleNetV2's total stride."
        )
    if options.resolution is not None and options.resolution > MAX_SIDE:
        raise UnknownNameError(
            f"--resolution {options.resolution} is above {MAX_SIDE}, the most that is supported."
        )
    own = options.onnx is not None or options.weights != "demo"
    if options.int8 and own and options.calib is None:
        raise DataError(
            "--int8 needs calibration images of your own data: --calib FOLDER or --calib FILE.npz "
            "(100 to 1,000 images, labels not needed)."
        )
    _check_budget(options, own=own)
    if options.calib is not None and not options.calib.exists():
        raise DataError(f"There is nothing at {options.calib}. Check the path given to --calib.")
    if options.std is not None and not all(_LEAST_STD <= v <= _MOST for v in options.std):
        raise UnknownNameError(
            f"--std must be from {_LEAST_STD:g} to {_MOST:g} in every channel; pixels are 0 to 1."
        )
    if options.mean is not None and not all(abs(value) <= _MOST for value in options.mean):
        raise UnknownNameError(f"--mean must be at most {_MOST:g} in size; pixels are 0 to 1.")
    if options.output is not None or options.onnx is not None or options.weights == "demo":
        refuse_target(target, overwrite=options.overwrite)


def _check_runtime(format_name: str) -> None:
    """Every file is run before it is kept, so its runtime has to be there."""
    try:
        RUNTIMES[RUNTIME_OF_FORMAT[format_name]]
    except MissingExtraError as err:
        raise MissingExtraError(
            f"--format {format_name} checks the files that it writes: {err} Or leave the format "
            "out."
        ) from err


def _check_budget(options: ExportOptions, *, own: bool) -> None:
    check_limit("--max-drop", options.max_drop, 0)
    check_limit("--min-sqnr", options.min_sqnr, -math.inf)
    check_limit("--min-agreement", options.min_agreement, 0, 100)
    if not options.int8 and (options.min_sqnr, options.min_agreement) != (None, None):
        raise UnknownNameError(
            "--min-sqnr and --min-agreement are limits of --int8: give it, too, or leave them out."
        )
    if options.max_drop is None:
        if options.class_order is not None:
            raise UnknownNameError("--class-order is of the class folders of --eval: give both.")
        if options.evaluation is not None:
            raise UnknownNameError("--eval is what --max-drop is checked with: give both.")
        return
    if not options.int8:
        raise UnknownNameError("--max-drop limits what --int8 may lose: give both.")
    if options.evaluation is None and own:
        raise DataError(
            "--max-drop needs images of your own data to be checked with: --eval FOLDER or --eval "
            "FILE.npz (without labels, agreement with the float model is checked)."
        )
    if options.evaluation is not None and not options.evaluation.exists():
        raise DataError(f"There is nothing at {options.evaluation}. Check the path after --eval.")


def model_name(options: ExportOptions) -> str:
    """The model id where it can be told without the weights: of the card, or of the .onnx file."""
    if options.onnx is not None:
        return re.sub(r"[^A-Za-z0-9._-]+", "_", options.onnx.stem).lstrip(".-")[:100] or "model"
    return card_of_width(1.0 if options.width is None else options.width).name
