"""What is inside a model file: operators, MACs, bytes moved, requantizations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from edgeshuffle.artifact.metadata import Metadata, read_metadata
from edgeshuffle.errors import ArtifactError, ModelError, needs_extra
from edgeshuffle.untrusted import UntrustedError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgeshuffle.runner.inspect.dissolved import Dissolved

_READERS: Final = {".onnx": "onnx_graph", ".tflite": "tflite_graph"}


@dataclass(frozen=True, order=True)
class Grid:
    """How a quantized tensor's integers stand for reals: (q - zero_point) * scale."""

    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class Requantization:
    """An operator that only moves values, yet must compute since its grids differ."""

    op: str
    output: str
    sources: tuple[Grid, ...]
    target: Grid


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """One model file.

    `macs` are multiply-accumulates of convolutions and matrix products for one image, of which an
    inference takes `batch`,
    `parameters` the elements of constant weights and biases and `weight_bytes` their stored size.
    `moved_bytes` are the bytes that data-moving operators read and write. `wide_tensors` are the
    tensors of rank 5 and more, which GPU delegates refuse. `inputs` and `outputs` have shapes, None
    where these are open.

    `metadata` is what the file says of itself, and `unreadable_metadata` why that cannot be read.
    `unknown` are nodes whose MACs, or bytes that they move, cannot be told and are not counted.
    `shuffles` are channel shuffles, and `dissolved` is what is left without them, of an ONNX file
    that has any.
    """

    format: str
    ops: dict[str, int]
    macs: int
    parameters: int
    weight_bytes: int
    moved_bytes: int
    requantizations: tuple[Requantization, ...]
    wide_tensors: tuple[str, ...]
    transposes: int
    inputs: dict[str, tuple[int, ...] | None]
    outputs: dict[str, tuple[int, ...] | None]
    unknown: tuple[str, ...] = ()
    shuffles: int = 0
    batch: int = 1
    dissolved: Dissolved | None = None
    metadata: Metadata | None = None
    unreadable_metadata: str | None = None


def inspect_file(path: Path, resolution: tuple[int, int] | None = None) -> Inspection:
    """Read a .onnx or .tflite file; `resolution`, (height, width), is of one that leaves it open.

    Raises ArtifactError where there is no such file, ModelError where it is corrupt, of another
    kind or of another size, and MissingExtraError where the package that reads it is not installed.
    """
    if not path.is_file():
        raise ArtifactError(f"There is no {path}. Give an artifact, a .onnx or a .tflite file.")
    name = _READERS.get(path.suffix.lower())
    if name is None:
        raise ModelError(f"{path} is no model file. Give a .onnx or .tflite file.")
    with needs_extra(f"Reading {path.name}", "export"):
        module = import_module(f"edgeshuffle.runner.inspect.{name}")
    read = cast("Callable[[Path, tuple[int, int] | None], Inspection]", module.read)
    found = read(path, resolution)
    try:
        return replace(found, metadata=read_metadata(path))
    except (UntrustedError, OSError) as err:
        return replace(found, unreadable_metadata=quoted(str(err)))


def bytes_moved(read: int, written: int) -> int:
    """Bytes of one data-moving operator, which reads no more of its input than it writes."""
    return min(read, written) + written
