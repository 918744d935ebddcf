"""Which model file classifies, and how it is run: here or on a device, timed either way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import ArtifactError, MissingExtraError, ModelError
from edgeshuffle.runner.batches import in_batches
from edgeshuffle.runner.here import file_shapes, open_here, run_here

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    import numpy as np

    from edgeshuffle.artifact import Artifact, ModelFile
    from edgeshuffle.progress import Progress

# What is the fastest on the processors that this is for, as far as their instructions tell.
_PRECISIONS: Final = ("int8", "fp32", "fp16")
_RUNTIMES: Final = ("litert", "ort")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Outputs for one picture, and times in ns: of the inference, and of all that is around it on
    a device; None where an emulator's would mean nothing.
    """

    outputs: list[np.ndarray]
    infer_ns: int | None
    transfer_ns: int | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded file; `device` is None where it runs in this process."""

    file: ModelFile
    version: str
    device: DeviceInfo | None
    run: Callable[[np.ndarray], Ran]


def files_wanted(
    artifact: Artifact, file: ModelFile | None, runtime: str | None, precision: str | None
) -> list[ModelFile]:
    """This file, or else those of a runtime and precision, what is best taken first.

    Raises UnknownNameError and, where there are none or the model is no classifier, ArtifactError
    and ModelError.
    """
    if runtime is not None:
        RUNTIMES.require(runtime)
    manifest = artifact.manifest
    if manifest.num_classes is None:
        given = ", ".join(end.name for end in manifest.files[0].outputs) if manifest.files else ""
        raise ModelError(
            f"{artifact.folder} is no classifier: it gives {given or 'nothing'}, which have no "
            "labels. `edgeshuffle evaluate` measures it."
        )
    wanted = [
        one
        for one in (manifest.files if file is None else (file,))
        if runtime in (None, one.runtime) and precision in (None, one.precision)
    ]
    if not wanted:
        has = ", ".join(f"{file.runtime} {file.precision}" for file in manifest.files)
        raise ArtifactError(
            f"{artifact.folder} has no {' '.join(filter(None, (runtime, precision)))} file, only "
            f"{has or 'none'}. Choose another `runtime` or `precision`, or export it again."
        )
    return sorted(
        wanted,
        key=lambda one: (_PRECISIONS.index(one.precision), _RUNTIMES.index(one.runtime)),
    )


def open_model(
    artifact: Artifact,
    files: Sequence[ModelFile],
    *,
    device: str,
    threads: int,
    wait: float,
    stack: ExitStack,
    progress: Progress,
) -> Model:
    """The first of these files whose runtime is there, loaded until the stack is left.

    Raises MissingExtraError, RuntimeUnavailableError, ArtifactError, and for a device
    UnknownNameError and DeviceError.
    """
    if device == "local":
        return _first(files, lambda file: _here(artifact, file, threads))
    there = stack.enter_context(open_device(device, progress))
    there.set_up(wait)
    info = DeviceInfo.of(there.describe())

    def load(file: ModelFile) -> Model:
        session = open_agent(there, file, artifact.path(file), threads=threads)

        def run(image: np.ndarray) -> Ran:
            start = time.perf_counter_ns()
            taken: list[int | None] = []

            def infer(images: np.ndarray) -> list[np.ndarray]:
                outputs, ns = session.timed_run(images, file_shapes(file))
                taken.append(ns)
                return outputs

            outputs = in_batches(infer, image, file.batch)
            whole = time.perf_counter_ns() - start
            (inner,) = taken
            if inner is None or info.emulated:
                return Ran(outputs=outputs, infer_ns=None, transfer_ns=None)
            return Ran(outputs=outputs, infer_ns=inner, transfer_ns=max(whole - inner, 0))

        return Model(file=file, version=session.ready.runtime_version, device=info, run=run)

    return _first(files, load)


def _first(files: Sequence[ModelFile], load: Callable[[ModelFile], Model]) -> Model:
    """Where a runtime is missing, the next file will do; raises what the last one did."""
    for file in files[:-1]:
        try:
            return load(file)
        except MissingExtraError:
            continue
    return load(files[-1])


def _here(artifact: Artifact, file: ModelFile, threads: int) -> Model:
    session = open_here(file, artifact.path(file), threads)

    def run(image: np.ndarray) -> Ran:
        start = time.perf_counter_ns()
        outputs = in_batches(partial(run_here, file, session), image, file.batch)
        return Ran(outputs=outputs, infer_ns=time.perf_counter_ns() - start, transfer_ns=None)

    return Model(file=file, version=session.version, device=None, run=run)
