"""Files that read pixels: what they are made of, and how they give probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.converter.export.pixel_grid import LEVELS, other_levels
from edgeshuffle.metrics import softmax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeshuffle.artifact import ModelFile, Precision, Preprocess
    from edgeshuffle.converter.export.files import Form
    from edgeshuffle.converter.export.proof import Proved
    from edgeshuffle.converter.plan import QParams

# How probabilities may be asked for.
AUTO: Final = "auto"
PROBABILITY_TYPES: Final = (AUTO, "uint8", "float32")
MOST_CLASSES: Final = 100
_BYTE: Final = 1 / 256


def pixel_form(form: Form) -> Form:
    """The form of files that read pixels, to be made of a float or INT8 one."""
    return replace(form, precision="pixels")


def with_probabilities(
    formats: Mapping[str, Mapping[str, str]],
    asked: str,
    base: Precision,
    files: Sequence[ModelFile],
    proved: Proved,
) -> Mapping[str, Mapping[str, str]]:
    """What writers of files that read pixels are to choose, with the type of probabilities, which
    those of the precision `base` tell of.
    """
    file = files_by_format(files, base).get("tflite")
    classes = None if file is None else file.classes
    logits = None
    if file is not None and classes is not None and proved.proof.images:
        logits = proved.outputs[file.path][0]
    kind = type_of_probabilities(asked, classes, logits)
    return {
        name: {**choices, "probabilities": kind} if name == "tflite" else choices
        for name, choices in formats.items()
    }


def type_of_probabilities(
    asked: str, classes: int | None, logits: np.ndarray | None
) -> Literal["uint8", "float32"]:
    """What a TFLite file gives them as: what is `asked`, or for `AUTO` bytes where these will do.

    A byte tells steps of 1/256, so of a hundred `classes` the likeliest has two or more. More
    classes may have less each, and look equal. So may the likeliest two of an image, as far as
    (n, classes) `logits` are known.
    """
    if asked != AUTO:
        return "uint8" if asked == "uint8" else "float32"
    if classes is None or classes > MOST_CLASSES:
        return "float32"
    if logits is not None:
        steps = np.rint(softmax(logits) / _BYTE)
        if (steps.argmax(axis=1) != logits.argmax(axis=1)).any():
            return "float32"
    return "uint8"


def pixel_notes(
    preprocess: Preprocess, params: QParams | None, files: Sequence[ModelFile], asked: str
) -> Iterator[str]:
    """What the user should know of files that read pixels; `params` are INT8 ones' input's."""
    floats = [
        file.path
        for file in files
        if file.format == "tflite" and file.softmax and file.outputs[0].dtype == "float32"
    ]
    if asked == AUTO and floats:
        yield (
            f"`pixels`: {floats[0]} gives probabilities as float32, as 256 steps may be too few to "
            "tell the likeliest classes apart; rpicam-apps wants `pixels=uint8`"
        )
    others = 0 if params is None else other_levels(preprocess, params)
    if others:
        yield (
            f"`pixels`: of {LEVELS.size * len(preprocess.mean)} pixel values, {others} lie just "
            "between two integers of the input, and become the other one than in the INT8 files"
        )
