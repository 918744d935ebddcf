"""What is profiled: an artifact's model files, or any file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgeshuffle.artifact import RUNTIME_OF_FORMAT, Artifact
from edgeshuffle.errors import ArtifactError, MissingExtraError, ModelError, needs_extra
from edgeshuffle.runner.files import NamedFile, files_for
from edgeshuffle.runner.profile.names import Names, module_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgeshuffle.artifact import Precision


@dataclass(frozen=True, kw_only=True)
class Subject(NamedFile):
    """A model file, where it lies, and what its layers are called."""

    runtime: str
    precision: Precision
    variant: str = ""
    path: Path
    names: Names


def subjects(
    targets: Sequence[Artifact | Path],
    runtimes: Sequence[str] = (),
    precision: Precision | None = None,
) -> tuple[Subject, ...]:
    """The model files of artifacts, and files by themselves, that are asked for.

    Raises ArtifactError where there is none or no such file, ModelError for files of other kinds or
    that cannot be read, and MissingExtraError without the package that reads them.
    """
    found = [
        one
        for target in targets
        for one in (
            _of_artifact(target, runtimes)
            if isinstance(target, Artifact)
            else [_of_file(target, runtimes)]
        )
        if one is not None and precision in (None, one.precision)
    ]
    if not found:
        kinds = " ".join((*runtimes, *([precision] if precision else [])))
        raise ArtifactError(f"There is no model file for {kinds} to profile. Export it again.")
    return _told_apart(found)


def _told_apart(found: Sequence[Subject]) -> tuple[Subject, ...]:
    """Those of the same runtime and precision by their files' names, or even by their places."""
    names = [one.name for one in found]
    files = [(one.name, one.path.name) for one in found]
    return tuple(
        one
        if names.count(one.name) == 1
        else replace(
            one,
            variant=one.path.name if files.count((one.name, one.path.name)) == 1 else str(one.path),
        )
        for one in found
    )


def _of_artifact(artifact: Artifact, runtimes: Sequence[str]) -> Iterator[Subject]:
    names = _names(artifact)
    for file in files_for(artifact, runtimes):
        yield Subject(
            runtime=file.runtime,
            precision=file.precision,
            path=artifact.path(file),
            names=names,
        )


def _names(artifact: Artifact) -> Names:
    """A float ONNX file's weights still have the names that they had in torch."""
    for file in artifact.manifest.files:
        if (file.format, file.precision) == ("onnx", "fp32"):
            try:
                with needs_extra("", "export"):
                    from edgeshuffle.runner.inspect.onnx_graph import load
            except MissingExtraError:
                # A LiteRT file can be profiled all the same.
                return Names()
            return Names(module_paths(load(artifact.path(file))))
    return Names()


def _of_file(path: Path, runtimes: Sequence[str]) -> Subject | None:
    if not path.is_file():
        raise ArtifactError(f"There is no {path}. Give an artifact, a .onnx or a .tflite file.")
    runtime = RUNTIME_OF_FORMAT.get(path.suffix.lower().removeprefix("."))
    if runtime is None:
        raise ModelError(f"{path} is no model file. Give a .onnx or .tflite file.")
    if runtimes and runtime not in runtimes:
        return None
    with needs_extra(f"Reading {path.name}", "export"):
        precision = _precision_of_onnx(path) if runtime == "ort" else _precision_of_tflite(path)
    return Subject(runtime=runtime, precision=precision, path=path, names=Names())


def _precision_of_onnx(path: Path) -> Precision:
    from edgeshuffle.runner.inspect.onnx_graph import load

    kinds = (node.op_type for node in load(path).nodes)
    return "int8" if any(kind.startswith(("QLinear", "Quantize")) for kind in kinds) else "fp32"


def _precision_of_tflite(path: Path) -> Precision:
    from edgeshuffle.runner.inspect.tflite_graph import load
    from edgeshuffle.runner.profile.kinds import is_conv

    graph = load(path)
    convs = [node for node in graph.nodes if is_conv(graph.op(node))]
    if any(graph.grid(int(node.outputs[0])) is not None for node in convs):
        return "int8"
    return "fp16" if graph.is_half else "fp32"
