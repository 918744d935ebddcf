"""Which of an artifact's model files a command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.artifact import Artifact, ModelFile


# Images an inference; of more, no board has the memory.
Batch = Annotated[int, Meta(ge=1, le=2**16)]


class NamedFile:
    """Of a model file, whatever is said of it; `variant` tells it from others of its runtime and
    precision, where there are any.
    """

    runtime: str
    precision: str
    variant: str

    @property
    def name(self) -> str:
        """As people read it: `ort int8`."""
        return " ".join(filter(None, (self.runtime, self.precision, self.variant)))


def files_for(artifact: Artifact, runtimes: Sequence[str]) -> tuple[ModelFile, ...]:
    """The files that these runtimes run, in the manifest's order; without any, all files.

    A runtime need not be installed here: the files may be for a device. Raises UnknownNameError,
    and ArtifactError where no file is for these runtimes.
    """
    for name in runtimes:
        RUNTIMES.require(name)
    files = tuple(f for f in artifact.manifest.files if not runtimes or f.runtime in runtimes)
    if not files:
        raise ArtifactError(
            f"{artifact.folder} has no model file for {' or '.join(runtimes) or 'any runtime'}. "
            "Export it again with that format."
        )
    return files


def float_reference(artifact: Artifact) -> ModelFile:
    """The float file that others are compared with, ONNX if there is one; raises ArtifactError."""
    floats = files_by_format(artifact.manifest.files, "fp32")
    reference = floats.get("onnx", floats.get("tflite"))
    if reference is None:
        raise ArtifactError(
            f"{artifact.folder} has no float model file to compare with. Export it again."
        )
    return reference
