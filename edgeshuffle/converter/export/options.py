"""What can be asked of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact.preprocess import Channels


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export. None means: what the checkpoint, the model file or the card says, or the
    default recipe.

    Which model: `weights` is `demo`, `imagenet`, `random` or a checkpoint's path; `variant` (`v2`,
    `v2-se`, `v1`, `v2plus-small` and so on), `width` and `groups` name a card, and must agree with
    a checkpoint; `layout` tells whose keys it has, `key` which of its sets of weights is meant,
    `activation` and `stem` (`imagenet`, `cifar`, `nopool` or `stride1`) how it was trained.
    `num_classes` is checked.
    `features` gives the stages' outputs, (1, C, H, W) each, instead of logits (1, classes). Or
    `onnx`, a float model with one input (N, C, H, W), of which `logits` leaves out what it makes of
    logits at its end; "float32" and "int8" also tell what they are in INT8 files. `labels` is a
    file of class names, one a line.

    Which input: `resolution` is a side of a square or (height, width) in pixels, from 32 to 4096;
    `channels` is `rgb`, `bgr`, `gray` or `rgba`; `mean` and `std` have a number for each channel,
    in their order, or one for all. They are of values in 0..1, or with `scale`, such as 255, of
    values in 0..`scale`, and 0 and 1 where they are not given. `batch` is how many images the files
    read at once; "dynamic" leaves it open in ONNX files, None is as many as an `onnx` file reads.

    Which files: `formats` of `onnx` and `tflite`, made for the processor `target`, of
    `lower.targets.TARGETS`; `tune` is the address of a device that chooses among what is made for
    it. INT8 ONNX is in `onnx_style` `qdq` or `qoperator` with `onnx_activations` of `uint8` or
    `int8`. `output` is the folder, which `overwrite` replaces.

    `fp16` adds a TFLite file of half the size, computed in fp16 where a processor can; its ranges
    are seen on images of `calib`.

    `pixels` adds files that read uint8 pixels and give probabilities, of the INT8 model where there
    is one; in TFLite as `uint8` or `float32`.

    INT8: `int8` quantizes, with `calib_limit` images at most of `calib` (a folder or .npz; "none"
    makes images up that a checkpoint's batch norms take for its own), by a `recipe` (a name or
    .toml file), whose `calibrator` may be replaced. `max_drop` is in points of top-1 on the images
    of `evaluation`, `min_sqnr` in dB and `min_agreement` in percent: limits of INT8 and fp16 files.
    `class_order` (`index` or `sorted`) tells how class folders are told apart.
    """

    variant: str | None = None
    width: float | None = None
    groups: int | None = None
    onnx: Path | None = None
    logits: bool | Literal["auto", "float32", "int8"] | None = None
    weights: str = "demo"
    key: str | None = None
    layout: str | None = None
    activation: str | None = None
    features: bool = False
    labels: Path | None = None
    num_classes: int | None = None
    resolution: int | tuple[int, int] | None = None
    stem: str | None = None
    batch: int | Literal["dynamic"] | None = None
    formats: tuple[str, ...] = ("onnx", "tflite")
    onnx_style: str = "qdq"
    onnx_activations: str = "uint8"
    target: str = "generic"
    tune: str | None = None
    fp16: bool = False
    pixels: str | None = None
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
