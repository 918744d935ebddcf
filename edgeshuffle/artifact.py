"""The artifact: a folder of model files with `manifest.json`, which the device side starts from.

Nothing after this point opens the graph again; everything a runner needs is in the manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from edgeshuffle.atomic import refuse_existing
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
LABELS: Final = "labels.txt"
RUNTIME_OF_FORMAT: Final = {"onnx": "ort", "tflite": "litert"}

Precision = Literal["fp32", "int8"]


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """A model's input or output: real = (quantized - zero_point) * scale where scale is given."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """RGB image to tensor: resize the shorter side (bilinear), crop the centre, normalise.

    Sizes in pixels; `mean` and `std` apply to values in 0..1, per RGB channel.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def check(self) -> None:
        """Raise ValueError for what no image can be prepared with."""
        numbers: tuple[Any, ...] = (self.resize, self.crop, *self.mean, *self.std)
        if len(numbers) != 8 or not all(isinstance(size, int) for size in numbers[:2]):
            raise ValueError("sizes must be whole numbers, mean and std three numbers each")
        if not all(number > 0 for number in (*numbers[:2], *numbers[5:])):
            raise ValueError("sizes and std must be positive")


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One model file of the artifact."""

    path: str
    format: str
    precision: Precision
    bytes: int
    sha256: str
    input: TensorInfo
    output: TensorInfo
    ops: dict[str, int]

    @property
    def runtime(self) -> str:
        """The runtime that runs this format: `ort` or `litert`."""
        return RUNTIME_OF_FORMAT[self.format]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in the artifact and how it was made. `macs` counts multiply-accumulates an image."""

    schema_version: int
    model: str
    source: dict[str, Any]
    num_classes: int
    preprocess: Preprocess
    passes: tuple[dict[str, Any], ...]
    quantization: dict[str, Any] | None
    metrics: dict[str, Any]
    macs: int
    parameters: int
    tools: dict[str, str]
    files: tuple[ModelFile, ...]

    def to_json(self) -> str:
        """Stable text: the same manifest gives the same bytes."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote; raises ValueError, KeyError or TypeError on anything else."""
        data = json.loads(text)
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {data['schema_version']}, not {SCHEMA_VERSION}")
        picture: dict[str, Any] = data["preprocess"]
        for key in ("mean", "std"):
            picture[key] = tuple(picture[key])
        data["preprocess"] = Preprocess(**picture)
        data["preprocess"].check()
        data["passes"] = tuple(data["passes"])
        files = []
        for entry in data["files"]:
            for end in ("input", "output"):
                shape = tuple(entry[end]["shape"])
                entry[end] = TensorInfo(**{**entry[end], "shape": shape})
            files.append(ModelFile(**entry))
            if files[-1].format not in RUNTIME_OF_FORMAT:
                raise ValueError(f"unknown format {files[-1].format!r}")
            if math.prod(files[-1].input.shape) != 3 * data["preprocess"].crop ** 2:
                raise ValueError("the preprocessing does not fit the input")
        data["files"] = tuple(files)
        return cls(**data)


@dataclass(frozen=True)
class Artifact:
    """An artifact folder on disk."""

    folder: Path
    manifest: Manifest

    def path(self, file: ModelFile) -> Path:
        """Where one of the manifest's files lies."""
        return self.folder / file.path

    @property
    def manifest_sha256(self) -> str:
        """The identity that measurements point to."""
        return sha256(self.folder / MANIFEST)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Class names by index, where known; raises ArtifactError."""
        path = self.folder / LABELS
        try:
            return tuple(path.read_text("utf-8").splitlines()) if path.exists() else None
        except UnicodeDecodeError as err:
            raise ArtifactError(f"{path} is not UTF-8 text ({err}). Export it again.") from err

    @classmethod
    def load(cls, folder: Path) -> Artifact:
        """Read the manifest and check every file's sha256; raises ArtifactError."""
        path = folder / MANIFEST
        if not path.is_file():
            raise ArtifactError(
                f"{folder} has no {MANIFEST}, so it is no artifact. Make one: edgeshuffle export."
            )
        try:
            manifest = Manifest.from_json(path.read_text("utf-8"))
        except (ValueError, KeyError, TypeError) as err:
            raise ArtifactError(f"{path} cannot be read ({err}). Export it again.") from err
        for file in manifest.files:
            if not (folder / file.path).is_file():
                raise ArtifactError(f"{folder / file.path} is missing. Export it again.")
            if sha256(folder / file.path) != file.sha256:
                raise ArtifactError(f"{folder / file.path} was changed. Export it again.")
        return cls(folder, manifest)

    @classmethod
    def newest(cls, root: Path) -> Artifact:
        """Load the artifact under `root` that was written last; raises ArtifactError."""
        manifests = sorted(root.glob(f"[!.]*/{MANIFEST}"), key=lambda path: path.stat().st_mtime_ns)
        if not manifests:
            raise ArtifactError(
                f"There is no artifact under {root}/. Make one: edgeshuffle export --int8."
            )
        return cls.load(manifests[-1].parent)


def refuse_target(target: Path, *, overwrite: bool) -> None:
    """Raise ArtifactError if an artifact may not be written to `target`.

    Replaced is only what an export wrote: a folder that is something else, or in which other files
    lie too, stays as it is.
    """
    refuse_existing(target, overwrite=overwrite)
    if not target.is_dir() or not any(target.iterdir()):
        return
    try:
        manifest = Manifest.from_json((target / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ArtifactError(
            f"{target} holds files that are not an edgeshuffle artifact, so it is not replaced. "
            "Choose another folder with -o."
        ) from err
    written = {MANIFEST, LABELS, *(file.path for file in manifest.files)}
    others = sorted(entry.name for entry in target.iterdir() if entry.name not in written)
    if others:
        raise ArtifactError(
            f"{target} also holds '{others[0]}', which no export wrote, so it is not replaced. "
            "Move it away, or choose another folder with -o."
        )


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
