"""Which of an artifact's model files a command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.errors import ArtifactError
from edgeshuffle.runtimes import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.artifact import Artifact, ModelFile, Precision


def files_for(artifact: Artifact, runtimes: Sequence[str]) -> tuple[ModelFile, ...]:
    """The files that these runtimes run, in the manifest's order; without any, all files.

    A runtime need not be installed here: the files may be for a device. Raises UnknownNameError,
    and ArtifactError where no file is for these runtimes.
    """
    for name in runtimes:
        if name not in RUNTIMES:
            # Raises the error that names those that are known.
            RUNTIMES[name]
    files = tuple(f for f in artifact.manifest.files if not runtimes or f.runtime in runtimes)
    if not files:
        raise ArtifactError(
            f"{artifact.folder} has no model file for {' or '.join(runtimes) or 'any runtime'}. "
            "Export it again with that format."
        )
    return files


def files_by_format(artifact: Artifact, precision: Precision) -> dict[str, ModelFile]:
    """The file of each format, `onnx` or `tflite`, that has this precision."""
    return {file.format: file for file in artifact.manifest.files if file.precision == precision}


def float_reference(artifact: Artifact) -> ModelFile:
    """The float file that others are compared with, ONNX if there is one; raises ArtifactError."""
    floats = files_by_format(artifact, "fp32")
    reference = floats.get("onnx", floats.get("tflite"))
    if reference is None:
        raise ArtifactError(
            f"{artifact.folder} has no float model file to compare with. Export it again."
        )
    return reference
