"""What can be asked of an export, and what cannot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.atomic import refuse_existing
from edgeshuffle.emit import EMITTERS
from edgeshuffle.errors import DataError, UnknownNameError
from edgeshuffle.quant.calibrators import CALIBRATORS
from edgeshuffle.zoo.cards import card_of_width

if TYPE_CHECKING:
    from pathlib import Path


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


def check(options: ExportOptions, target: Path) -> None:
    """Refuse what cannot work before anything takes time; raises EdgeShuffleError."""
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


def model_name(options: ExportOptions) -> str:
    """The model id where it can be told without the weights: of the card, or of the .onnx file."""
    if options.onnx is not None:
        return re.sub(r"[^A-Za-z0-9._-]+", "_", options.onnx.stem).lstrip(".") or "model"
    return card_of_width(1.0 if options.width is None else options.width).name
