"""What a model file says of itself: how to prepare its pictures, and what its classes are called.

A TFLite file says it as TFLite Metadata, for others to read, an ONNX file in its `metadata_props`;
in both, an entry `edgeshuffle` has as JSON what neither standard can (`docs/metadata.md`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.artifact.preprocess import Preprocess
from edgeshuffle.untrusted import UntrustedError, decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Given = Literal["normalised", "pixels"]
Gives = Literal["logits", "probabilities", "values"]
ENTRY: Final = "edgeshuffle"
_VERSION: Final = 1
_SCALE: Final = 255
_MOST_BYTES: Final = 2**20
MOST_LABELS: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file says; empty and None is what it does not.

    `input` is what the file reads: normalised floats, or the pixels that `preprocess` crops, as
    uint8. `output` is what a classifier gives; `values` are no classes. `gives_bytes` is whether a
    TFLite file's is uint8. `others` are further entries of a file that somebody else made.
    """

    name: str = ""
    description: str = ""
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] = ()
    input: Given = "normalised"
    output: Gives | None = None
    gives_bytes: bool = False
    others: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry(Preprocess):
    version: int
    input: Given
    output: Gives
    scale: float


def read_metadata(path: Path) -> Metadata:
    """What a .tflite or .onnx file says; raises UntrustedError for what cannot be read, OSError."""
    from edgeshuffle.artifact.metadata.onnx import read as read_onnx
    from edgeshuffle.artifact.metadata.tflite import read as read_tflite

    return read_tflite(path) if path.suffix.lower() == ".tflite" else read_onnx(path)


def entry_of(metadata: Metadata) -> str:
    """The entry as JSON; the same metadata gives the same text."""
    assert metadata.preprocess is not None
    told = {
        "version": _VERSION,
        "input": metadata.input,
        "output": metadata.output,
        "scale": _SCALE,
        **asdict(metadata.preprocess),
    }
    return json.dumps(told, sort_keys=True, allow_nan=False)


def with_entry(metadata: Metadata, text: str | bytes) -> Metadata:
    """What the entry says, and the rest as it was; raises UntrustedError."""
    entry = decode(text, _Entry, max_bytes=_MOST_BYTES)
    if entry.version != _VERSION or entry.scale != _SCALE:
        raise UntrustedError(f"version {entry.version} with scale {entry.scale:g} is not known")
    names = Preprocess.__dataclass_fields__
    preprocess = Preprocess(**{name: getattr(entry, name) for name in names})
    return replace(metadata, preprocess=checked(preprocess), input=entry.input, output=entry.output)


def checked(preprocess: Preprocess) -> Preprocess:
    """As it is; raises UntrustedError for what no image can be prepared with."""
    try:
        preprocess.check()
    except ValueError as err:
        raise UntrustedError(str(err)) from err
    return preprocess


def check_labels(labels: Sequence[str]) -> None:
    """Raise UntrustedError for more than any model has."""
    if len(labels) > MOST_LABELS:
        raise UntrustedError(f"{len(labels)} class names, more than {MOST_LABELS}")
