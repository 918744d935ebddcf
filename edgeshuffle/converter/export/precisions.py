"""Whether what is asked of INT8 and fp16 files fits together, and the images for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.errors import DataError, UnknownNameError
from edgeshuffle.host.packaged import CALIBRATION_IMAGES
from edgeshuffle.untrusted.gates import check_gate

if TYPE_CHECKING:
    from edgeshuffle.converter.export.options import ExportOptions


# As a path to calibration images: there are none.
NONE: Final = Path("none")


def images_seen(options: ExportOptions) -> Path | None:
    """Images that are the model's own, where there are any."""
    if options.calib == NONE:
        return None
    return options.calib or (None if is_own(options) else CALIBRATION_IMAGES)


def is_own(options: ExportOptions) -> bool:
    """Whether it is a model of the user's, for which no images are packaged."""
    return options.onnx is not None or options.weights not in ("demo", "random")


def check_quantization(options: ExportOptions) -> None:
    """Raise UnknownNameError for what only `int8` has, DataError without images for it."""
    unused = {
        "recipe": options.recipe,
        "calibrator": options.calibrator,
        "calib_limit": options.calib_limit,
    }
    given = [f"`{name}`" for name, value in unused.items() if value is not None]
    if not options.int8 and given:
        raise UnknownNameError(
            f"Without `int8` nothing is quantized: give it, too, or leave out {', '.join(given)}."
        )
    if options.int8 and is_own(options) and options.calib is None:
        raise DataError(
            "`int8` needs calibration images of your own data: `calib=FOLDER` or `calib=FILE.npz` "
            "(100 to 1,000 images, labels not needed)."
        )
    if options.calib != NONE:
        return
    if options.onnx is not None:
        raise UnknownNameError(
            "`calib=none` makes images up that a checkpoint's batch norms take for those of its "
            "training, and an `onnx` file has no batch norms of use: give images."
        )
    if not options.int8:
        raise UnknownNameError("`calib=none` is for `int8`: give it, too.")
    if options.calib_limit is not None:
        raise UnknownNameError("`calib_limit` chooses of images, and `calib=none` has none.")


def check_half(options: ExportOptions) -> None:
    """Raise UnknownNameError where no format has fp16."""
    if options.fp16 and not any("fp16" in EMITTERS[name].PRECISIONS for name in options.formats):
        raise UnknownNameError(
            "`fp16` is written as TFLite only: ONNX Runtime takes more instructions in fp16 than "
            "in fp32. Add `formats=tflite`, or leave `fp16` out."
        )


def check_limits(options: ExportOptions) -> None:
    """Raise UnknownNameError and DataError for limits of nothing, or that nothing can meet."""
    check_gate("`max_drop`", options.max_drop, 0)
    check_gate("`min_sqnr`", options.min_sqnr, -math.inf)
    check_gate("`min_agreement`", options.min_agreement, 0, 100)
    limited = (options.min_sqnr, options.min_agreement) != (None, None)
    if limited and not (options.int8 or options.fp16):
        raise UnknownNameError(
            "`min_sqnr` and `min_agreement` are limits of `int8` and `fp16`: give one, too, or "
            "leave them out."
        )
    if limited and not options.int8 and images_seen(options) is None:
        raise DataError(
            "`min_sqnr` and `min_agreement` are checked on images of your own data: `calib=FOLDER` "
            "or `calib=FILE.npz`."
        )


def check_drop(options: ExportOptions) -> None:
    """Raise UnknownNameError and DataError for a `max_drop` of nothing or without images."""
    if options.max_drop is None:
        if options.class_order is not None:
            raise UnknownNameError(
                "`class_order` is of the class folders of `evaluation`: give both."
            )
        if options.evaluation is not None:
            raise UnknownNameError("`evaluation` is what `max_drop` is checked with: give both.")
        return
    if not options.int8:
        raise UnknownNameError("`max_drop` limits what `int8` may lose: give both.")
    if options.evaluation is None and is_own(options):
        raise DataError(
            "`max_drop` needs images of your own data to be checked with: `evaluation=FOLDER` or "
            "`evaluation=FILE.npz` (without labels, agreement with the float model is checked)."
        )
