"""Files that read pixels: what they are made of, and how they give probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.export.pixel_grid import LEVELS, other_levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.converter.export.files import Form
    from edgeshuffle.converter.plan import QParams

# How TFLite files may give probabilities.
PROBABILITY_TYPES: Final = ("uint8", "float32")


def pixel_form(form: Form) -> Form:
    """The form of files that read pixels, to be made of a float or INT8 one."""
    return replace(form, precision="pixels")


def with_probabilities(
    formats: Mapping[str, Mapping[str, str]], asked: str
) -> Mapping[str, Mapping[str, str]]:
    """What writers of files that read pixels are to choose, with the type that is asked for."""
    return {
        name: {**choices, "probabilities": asked} if name == "tflite" else choices
        for name, choices in formats.items()
    }


def pixel_notes(preprocess: Preprocess, params: QParams | None) -> Iterator[str]:
    """What the user should know of files that read pixels; `params` are INT8 ones' input's."""
    others = 0 if params is None else other_levels(preprocess, params)
    if others:
        yield (
            f"`pixels`: of {LEVELS.size * len(preprocess.mean)} pixel values, {others} lie just "
            "between two integers of the input, and become the other one than in the INT8 files"
        )
