"""What classifies: an artifact's model files, or a file that says itself how to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact import MANIFEST, RUNTIME_OF_FORMAT, Artifact
from edgeshuffle.artifact.metadata import read_metadata
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.errors import ArtifactError, ModelError
from edgeshuffle.untrusted import UntrustedError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact import ModelFile, Preprocess
    from edgeshuffle.artifact.metadata import Gives, Metadata

# What is the fastest on the processors that this is for, as far as their instructions tell.
_PRECISIONS: Final = ("int8", "fp32", "fp16", "pixels")
_RUNTIMES: Final = ("litert", "ort")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that may be run; `file` is what a manifest says of it, where one does.

    `gives` is None where nobody says: logits, then.
    """

    path: Path
    runtime: str
    precision: str
    gives: Gives | None
    file: ModelFile | None = None
    reads_pixels: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """A classifier: the files that can be taken, the best first, and what they have in common."""

    name: str
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    demo: bool
    candidates: tuple[Candidate, ...]

    def preprocess_for(self, model: Candidate) -> Preprocess:
        """What makes a picture into what one of its files reads."""
        return self.preprocess.to_pixels if model.reads_pixels else self.preprocess


def find_source(model: Artifact | Path, runtime: str | None, precision: str | None) -> Source:
    """The classifier of an artifact, or of a .tflite or .onnx file.

    A file with a manifest beside it that names it is taken for the artifact's. Raises
    UnknownNameError, ArtifactError where there is no file of this runtime and precision or it does
    not say how to use it, and ModelError for what is no classifier.
    """
    if runtime is not None:
        RUNTIMES.require(runtime)
    if isinstance(model, Artifact):
        return _of_artifact(model, model.manifest.files, runtime, precision)
    if (model.parent / MANIFEST).is_file():
        artifact = Artifact.load(model.parent)
        named = tuple(one for one in artifact.manifest.files if one.path == model.name)
        if named:
            return _of_artifact(artifact, named, runtime, precision)
    return _of_file(model, runtime)


def _of_artifact(
    artifact: Artifact, files: tuple[ModelFile, ...], runtime: str | None, precision: str | None
) -> Source:
    manifest = artifact.manifest
    if manifest.num_classes is None:
        given = ", ".join(end.name for end in files[0].outputs) if files else ""
        raise _no_classifier(artifact.folder, f"it gives {given or 'nothing'}")
    wanted = [
        one
        for one in files
        if runtime in (None, one.runtime) and precision in (None, one.precision)
    ]
    if not wanted:
        has = ", ".join(f"{one.runtime} {one.precision}" for one in files)
        raise ArtifactError(
            f"{artifact.folder} has no {' '.join(filter(None, (runtime, precision)))} file, only "
            f"{has or 'none'}. Choose another `runtime` or `precision`, or export it again."
        )
    wanted.sort(
        key=lambda one: (_PRECISIONS.index(one.precision), _RUNTIMES.index(one.runtime)),
    )
    return Source(
        name=manifest.model,
        preprocess=manifest.preprocess,
        labels=artifact.labels,
        demo=manifest.source.get("kind") == "demo",
        candidates=tuple(
            Candidate(
                path=artifact.path(one),
                runtime=one.runtime,
                precision=one.precision,
                gives=_metadata(artifact.path(one)).output,
                file=one,
                reads_pixels=one.base is not None,
            )
            for one in wanted
        ),
    )


def _of_file(path: Path, runtime: str | None) -> Source:
    found = RUNTIME_OF_FORMAT.get(path.suffix.lower().removeprefix("."))
    if found is None or runtime not in (None, found):
        wanted = ".tflite or .onnx" if runtime is None else runtime
        raise ArtifactError(f"{path} is no {wanted} file. Give an artifact or a model file.")
    metadata = _metadata(path)
    if metadata.output == "values":
        raise _no_classifier(path, "its outputs are no classes")
    if metadata.preprocess is None:
        raise ArtifactError(
            f"{path} does not say how to prepare a picture for it, and there is no {MANIFEST} "
            "beside it that does. Give an artifact, or export it again."
        )
    candidate = Candidate(
        path=path,
        runtime=found,
        precision="",
        gives=metadata.output,
        reads_pixels=metadata.input == "pixels",
    )
    return Source(
        name=metadata.name or path.stem,
        preprocess=metadata.preprocess,
        labels=metadata.labels or None,
        demo=False,
        candidates=(candidate,),
    )


def _metadata(path: Path) -> Metadata:
    try:
        return read_metadata(path)
    except (UntrustedError, OSError) as err:
        raise ArtifactError(f"{path} cannot be read ({err}). Export it again.") from err


def _no_classifier(what: Path, why: str) -> ModelError:
    return ModelError(
        f"{what} is no classifier: {why}, which have no labels. `edgeshuffle evaluate` measures "
        "what its outputs are worth."
    )
