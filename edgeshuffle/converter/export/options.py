"""What can be asked of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.preprocess import Channels


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export. None means: what the checkpoint, the model file or the card says, or the
    default recipe.

    `resolution` is a side of a square or (height, width) in pixels; `mean` and `std` have a number
    for each of the `channels`, in their order, or one for all. They are of values in 0..1, or with
    `scale`, such as 255, of values in 0..`scale`, and 0 and 1 where they are not given.

    `batch` is how many images the files read at once; "dynamic" leaves it open in ONNX files.
    `logits` leaves out what an `onnx` file makes probabilities or a class of at its end.

    `max_drop` is in points, `min_sqnr` in dB and `min_agreement` in percent: limits of INT8 files,
    with GateError where one is missed. `class_order` (`index` or `sorted`) tells how the class
    folders of `evaluation` are told apart.
    """

    variant: str | None = None
    width: float | None = None
    groups: int | None = None
    onnx: Path | None = None
    logits: bool = False
    weights: str = "demo"
    key: str | None = None
    layout: str | None = None
    activation: str | None = None
    features: bool = False
    labels: Path | None = None
    num_classes: int | None = None
    resolution: int | tuple[int, int] | None = None
    stem: str | None = None
    batch: int | Literal["dynamic"] = 1
    formats: tuple[str, ...] = ("onnx", "tflite")
    onnx_style: str = "qdq"
    onnx_activations: str = "uint8"
    int8: bool = False
    calib: Path | None = None
    calib_limit: int | None = None
    recipe: str | None = None
    calibrator: str | None = None
    channels: Channels | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    max_drop: float | None = None
    min_sqnr: float | None = None
    min_agreement: float | None = None
    class_order: str | None = None
    evaluation: Path | None = None
    output: Path | None = None
    overwrite: bool = False
