"""The fp16 form of a model, whose numbers are first found to fit."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.export.files import Form, write_models
from edgeshuffle.converter.export.proof import prove
from edgeshuffle.converter.quant.half_range import LARGEST, NEAR, half_range
from edgeshuffle.dataset import ImageSet, open_images

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.artifact.half_range import HalfRange
    from edgeshuffle.converter.export.batch import Batch
    from edgeshuffle.converter.export.files import Choose
    from edgeshuffle.converter.export.request import HalfPrecision
    from edgeshuffle.converter.export.source import Source
    from edgeshuffle.progress import Progress

_IMAGES: Final = 32


@dataclass(frozen=True, eq=False)
class Half:
    """What is written, and the images, where there are any, that its ranges were seen on."""

    form: Form
    images: ImageSet | None
    reached: HalfRange

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        return (
            f"`fp16`: numbers reach {self.reached.largest_value:g} and sums "
            f"{self.reached.largest_sum:g} of {LARGEST:.0f}",
            "`fp16`: processors without fp16 arithmetic, such as a Raspberry Pi 4's, compute the "
            "file in fp32, no faster; there it is only half as large",
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where other images may go further than float16 does."""
        found = []
        reached = max(self.reached.largest_value, self.reached.largest_sum)
        if reached > NEAR:
            found.append(
                f"fp16: numbers reach {reached:g}, and float16 ends at {LARGEST:.0f}; other images "
                "may go beyond it, where processors with fp16 arithmetic give infinity"
            )
        if self.images is None:
            found.append(
                "fp16: ranges were seen on noise only; give images of the model's own data with "
                "`calib`"
            )
        return tuple(found)


def make_half(asked: HalfPrecision, source: Source, model: ir.Model, report: Progress) -> Half:
    """Look at what the model reaches; raises DataError, and ModelError where that is too far."""
    images = None
    if asked.images is not None:
        images = open_images(asked.images, source.preprocess, limit=_IMAGES)
    seen = [] if images is None else list(images)
    return Half(Form("fp16", model, None), images, half_range(model, seen, report))


def prove_unrounded(
    half: Half, source: Source, batch: Batch, choose: Choose, report: Progress
) -> None:
    """Hold the graph of the fp16 file against the source as closely as float files are.

    Rounded weights would hide a small error of a rewrite that only this file has. Raises what
    `prove` does.
    """
    lowering = choose("tflite", half.form.precision)
    form = Form("fp32", half.form.model, None)
    with tempfile.TemporaryDirectory() as folder:
        name = f"{source.name}_fp16_unrounded"
        files = write_models([form], name, {"tflite": {}}, folder, batch, lambda *_: lowering)
        prove(source.reference, files, Path(folder), None, None, report)
