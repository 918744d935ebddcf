"""What `manifest.json` says: typed, bounded, and checked whenever one is read."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from edgeshuffle.artifact.half_range import HalfRange  # noqa: TC001 - the decoder needs it
from edgeshuffle.artifact.lowering import Rewritten, Tuning  # noqa: TC001 - the decoder needs it
from edgeshuffle.artifact.preprocess import Preprocess  # noqa: TC001 - the decoder needs it
from edgeshuffle.untrusted import UntrustedError, decode

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA_VERSION: Final = 2
LABELS: Final = "labels.txt"
RUNTIME_OF_FORMAT: Final = {"onnx": "ort", "tflite": "litert"}
_MAX_COUNT: Final = 2**31 - 1
_MAX_BYTES: Final = 2**32
_MAX_MANIFEST: Final = 16 * 2**20
_MAX_OUTPUTS: Final = 64
_MAX_INPUT: Final = 2**28
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

Precision = Literal["fp32", "fp16", "int8", "pixels"]


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """A model's input or output: real = (quantized - zero_point) * scale where scale is given.

    `layout` is `layout_of` its rank.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    scale: float | None = None
    zero_point: int | None = None

    @property
    def as_nchw(self) -> tuple[int, ...]:
        """The shape as sessions give it, whose values of rank 4 are NCHW for every format."""
        if self.layout != "NHWC" or len(self.shape) != 4:
            return self.shape
        n, height, width, channels = self.shape
        return n, channels, height, width

    def check(self) -> None:
        """Raise ValueError for what no tensor of a network for images can be."""
        if not 1 <= len(self.shape) <= 6 or not all(0 < n <= _MAX_COUNT for n in self.shape):
            raise ValueError(f"'{self.name}' cannot have the shape {list(self.shape)[:6]}")
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"'{self.name}' cannot have the scale {self.scale}")
        if self.zero_point is not None and not -128 <= self.zero_point <= 255:
            raise ValueError(f"'{self.name}' cannot have the zero point {self.zero_point}")


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One model file of the artifact.

    One of the precision `pixels` computes as the file of the precision `base` does, and reads
    uint8 pixels, which it normalises itself. With `softmax` it gives that of the other's logits.
    """

    path: str
    format: str
    precision: Precision
    bytes: int
    sha256: str
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]
    ops: dict[str, int]
    lowering: tuple[Rewritten, ...] = ()
    base: Precision | None = None
    softmax: bool = False

    @property
    def runtime(self) -> str:
        """The runtime that runs this format: `ort` or `litert`."""
        return RUNTIME_OF_FORMAT[self.format]

    @property
    def batch(self) -> int:
        """How many images an inference takes."""
        return self.input.shape[0]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of the images that it reads."""
        return self.input.as_nchw[1:]

    @property
    def classes(self) -> int | None:
        """How many numbers a classifier gives an image; None for what is no classifier.

        A classifier has one output, of which an image has no more than one axis; a class that is
        chosen already (ArgMax) is no such row.
        """
        if len(self.outputs) != 1 or self.outputs[0].dtype in ("int32", "int64"):
            return None
        shape = self.outputs[0].shape
        image = shape[1:] if shape[0] == self.batch and len(shape) > 1 else shape
        return max(image) if math.prod(image) == max(image) else None

    def check(self) -> None:
        """Raise ValueError for what no export wrote: a path, another ending, sizes below 1."""
        if self.format not in RUNTIME_OF_FORMAT:
            raise ValueError(f"unknown format '{self.format}'")
        if not _NAME.fullmatch(self.path) or not self.path.endswith(f".{self.format}"):
            raise ValueError(f"'{self.path}' is no name of a file of the format {self.format}")
        if not 0 < self.bytes <= _MAX_BYTES:
            raise ValueError(f"'{self.path}' cannot have {self.bytes} bytes")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"'{self.path}' has no sha256")
        if (self.base is None) == (self.precision == "pixels") or self.base == "pixels":
            raise ValueError(f"'{self.path}' is {self.precision} on the base {self.base}")
        self.input.check()
        if math.prod(self.input.shape) > _MAX_INPUT:
            raise ValueError(f"'{self.path}' cannot read {math.prod(self.input.shape)} values")
        if not 1 <= len(self.outputs) <= _MAX_OUTPUTS:
            raise ValueError(f"'{self.path}' cannot have {len(self.outputs)} outputs")
        for output in self.outputs:
            output.check()
        if len({output.name for output in self.outputs}) < len(self.outputs):
            raise ValueError(f"'{self.path}' has two outputs of one name")


def layout_of(rank: int, images: Literal["NCHW", "NHWC"]) -> str:
    """How the axes of a value of a file are ordered whose images are `images`.

    Only values of rank 4 have a layout of their own in each format.
    """
    return {2: "NC", 4: images}.get(rank, "ND")


def _count(classes: int | None) -> str:
    return "no classes" if classes is None else f"{classes} classes"


def _elements(file: ModelFile) -> list[tuple[str, int]]:
    """Of each output; a softmax has a name of its own."""
    return [("" if file.softmax else end.name, math.prod(end.shape)) for end in file.outputs]


def files_by_format(files: Iterable[ModelFile], precision: Precision) -> dict[str, ModelFile]:
    """The file of each format, `onnx` or `tflite`, that has this precision."""
    return {file.format: file for file in files if file.precision == precision}


@dataclass(frozen=True, kw_only=True)
class LabelsFile:
    """The file of class names, one a line, by index."""

    path: str
    count: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ProvedFile:
    """A written file in the runtime that runs it, against the source model.

    `largest_difference` is that of a value, over its size in the source or, where that is larger,
    the root mean square of its output for the same image: of all images for float, of the real ones
    for INT8, which was calibrated for no others. None where the source's values are all zero and
    the file's are not. A file that reads pixels is held against the one that it computes as, or the
    softmax of that.
    """

    path: str
    runtime: str
    version: str
    largest_difference: float | None


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How the written files were compared with the model that was given, before any rewrite.

    `source` says what ran it. Compared were `images` real images of the digest `images_sha256`, and
    `random_images` of standard normal noise drawn from `seed`. Each float file differs by at most
    `tolerance`, each fp16 one by `fp16_tolerance`; INT8 files differ by their quantization, and
    `metrics` says how much. `int8_steps` is by how many steps of the logits' scale the INT8 files
    of two formats differ at most.
    """

    source: str
    images: int
    images_sha256: str | None
    random_images: int
    seed: int
    tolerance: float
    files: tuple[ProvedFile, ...]
    int8_steps: float | None = None
    fp16_tolerance: float | None = None


@dataclass(frozen=True)
class _Version:
    schema_version: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in the artifact and how it was made. `macs` counts multiply-accumulates an image.

    `target` is what the files were lowered for, which `ModelFile.lowering` tells of each,
    and `tuning` what was measured for it. `half_range` tells what fp16 files have to hold.
    `num_classes` is None for a model that is no classifier (`ModelFile.classes`). `warnings` are
    what the export found to be wrong with its INT8 and fp16 files or their calibration.
    """

    schema_version: int
    model: str
    source: dict[str, Any]
    num_classes: int | None
    preprocess: Preprocess
    passes: tuple[dict[str, Any], ...]
    quantization: dict[str, Any] | None
    metrics: dict[str, Any]
    macs: int
    parameters: int
    tools: dict[str, str]
    files: tuple[ModelFile, ...]
    labels: LabelsFile | None = None
    proof: Proof | None = None
    warnings: tuple[str, ...] = ()
    target: str | None = None
    tuning: Tuning | None = None
    half_range: HalfRange | None = None

    def to_json(self) -> str:
        """Stable text: the same manifest gives the same bytes."""
        data = dataclasses.asdict(self)
        return json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read what `to_json` wrote; raises ValueError on anything else, in one clean line."""
        version = decode(text, _Version, max_bytes=_MAX_MANIFEST).schema_version
        if version != SCHEMA_VERSION:
            made = "an older" if version < SCHEMA_VERSION else "a newer"
            raise UntrustedError(
                f"{made} edgeshuffle wrote it: schema version {version}, not {SCHEMA_VERSION}"
            )
        manifest = decode(text, cls, max_bytes=_MAX_MANIFEST)
        manifest.check()
        return manifest

    def check(self) -> None:
        """Raise ValueError where the parts are impossible or do not fit each other."""
        self.preprocess.check()
        if not all(0 <= count < _MAX_BYTES**2 for count in (self.macs, self.parameters)):
            raise ValueError("counts must be positive")
        names = [file.path.casefold() for file in self.files]
        if len(set(names)) < len(names):
            raise ValueError("two model files have the same name")
        elements = _elements(self.files[0]) if self.files else []
        sizes = [size for _, size in elements]
        for file in self.files:
            file.check()
            if file.image_shape != self.preprocess.shape:
                raise ValueError(
                    f"the preprocessing makes {list(self.preprocess.shape)} of an image, "
                    f"'{file.path}' reads {list(file.input.shape)}"
                )
            if file.classes != self.num_classes:
                raise ValueError(f"'{file.path}' does not give {_count(self.num_classes)}")
            own = _elements(file)
            if own != elements and not (file.softmax and [size for _, size in own] == sizes):
                raise ValueError(f"'{file.path}' does not give what '{self.files[0].path}' does")
        if self.labels is not None:
            if not _SHA256.fullmatch(self.labels.sha256) or self.labels.path != LABELS:
                raise ValueError("the class names have no sha256 or another file")
            if self.labels.count != self.num_classes:
                raise ValueError(
                    f"{self.labels.count} class names, {_count(self.num_classes)} in the outputs"
                )
