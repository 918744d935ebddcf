"""An export as it was asked for, with names looked up and all of it found to be possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact.preprocess import Channels
    from edgeshuffle.converter.export.batch import Batch
    from edgeshuffle.converter.quant.recipe import Recipe
    from edgeshuffle.converter.zoo import Wanted


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A user's own model file, and the name that its artifact has.

    With `logits` it is exported without what makes probabilities of them: `auto` where there has to
    be such an end, else where there is one.
    """

    path: Path
    name: str
    logits: str | None = None


@dataclass(frozen=True, kw_only=True)
class ZooModel:
    """A network of the zoo."""

    wanted: Wanted


@dataclass(frozen=True, kw_only=True)
class InputChoice:
    """What is said of the input: (height, width) in pixels, its channels, and a mean and a std in
    0..1 for each of these or for all. None is the card's or the model file's.
    """

    resolution: tuple[int, int] | None
    channels: Channels | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What every INT8 and fp16 file has to reach on calibration images: dB and percent."""

    min_sqnr: float | None = None
    min_agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class DropLimit:
    """How many points of top-1 INT8 may lose on the images at a path."""

    max_drop: float
    images: Path
    class_order: str | None


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How to quantize, with which images (None: made up), and what has to come of it."""

    recipe: Recipe
    images: Path | None
    limit: int | None
    drop: DropLimit | None


@dataclass(frozen=True, kw_only=True)
class HalfPrecision:
    """The images that ranges are seen on, beside noise."""

    images: Path | None


@dataclass(frozen=True, kw_only=True)
class OnnxForm:
    """How INT8 ONNX is written: of `emit.ONNX_STYLES` and `emit.ONNX_ACTIVATIONS`."""

    style: str
    activations: str


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to make of which model, and where to.

    `pixels` asks for files that read these, with probabilities of that type. `formats` are the
    writers' names, `onnx` what was chosen for that one. `processor` is what files are made for,
    `tune` the address of a device to choose by. `target` None is a folder under build/ that is
    named by what the weights turn out to be. `labels` are names that were given, `class_folders`
    where else they may be told. `notes` are for the user.
    """

    model: OnnxFile | ZooModel
    input: InputChoice
    formats: tuple[str, ...]
    onnx: OnnxForm
    int8: Quantization | None
    fp16: HalfPrecision | None
    pixels: str | None
    gates: Gates
    labels: tuple[str, ...] | None
    class_folders: tuple[Path, ...]
    batch: Batch | None
    processor: str
    tune: str | None
    target: Path | None
    overwrite: bool
    notes: tuple[str, ...]
