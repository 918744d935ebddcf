"""Model files that run in this process, on several threads at once."""

from __future__ import annotations

from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.errors import ArtifactError, RuntimeUnavailableError
from edgeshuffle.runner.batches import in_batches
from edgeshuffle.untrusted import first_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from edgeshuffle.artifact import Artifact, ModelFile, Preprocess
    from edgeshuffle.artifact.runtimes import Session

    Outputs = dict[str, list[np.ndarray]]


_OTHERWISE: Final = "leave this runtime out with `runtimes`"


class Here:
    """Some files of an artifact, each with `threads` threads of its runtime's own.

    Raises RuntimeUnavailableError and ArtifactError for a file that cannot be run.
    """

    def __init__(self, artifact: Artifact, files: Sequence[ModelFile], threads: int) -> None:
        self._artifact, self._files, self._threads = artifact, files, threads
        # A session is one thread's at a time.
        self._idle: SimpleQueue[dict[str, Session]] = SimpleQueue()
        self._idle.put(self._open())

    def run(self, images: np.ndarray) -> Outputs:
        """All outputs of every file for (n, C, H, W) images, by the files' paths; those that read
        pixels are given these.
        """
        try:
            sessions = self._idle.get_nowait()
        except Empty:
            sessions = self._open()
        try:
            return {
                file.path: in_batches(
                    partial(run_here, file, sessions[file.path]),
                    as_read(file, self._artifact.manifest.preprocess, images),
                    file.batch,
                )
                for file in self._files
            }
        finally:
            self._idle.put(sessions)

    def _open(self) -> dict[str, Session]:
        path = self._artifact.path
        return {file.path: open_here(file, path(file), self._threads) for file in self._files}


def as_read(file: ModelFile, preprocess: Preprocess, images: np.ndarray) -> np.ndarray:
    """Normalised (n, C, H, W) images as a file reads them, which may be the pixels before."""
    return images if file.base is None else preprocess.pixels(images)


def file_shapes(file: ModelFile) -> list[tuple[int, ...]]:
    """The shapes of a file's outputs."""
    return [end.as_nchw for end in file.outputs]


def run_here(file: ModelFile, session: Session, images: np.ndarray) -> list[np.ndarray]:
    """All outputs for a batch of images; raises ArtifactError for others than the manifest says."""
    made = session.run(images)
    if [value.shape for value in made] != file_shapes(file):
        raise ArtifactError(
            f"{file.path} does not give the outputs that the manifest says. Export it again."
        )
    return made


def open_file(runtime: str, path: Path, threads: int, otherwise: str = _OTHERWISE) -> Session:
    """A file loaded into this process by a runtime; raises RuntimeUnavailableError.

    `otherwise` is what can be done but to export it again.
    """
    module = RUNTIMES[runtime]
    try:
        return module.open_session(str(path), threads)
    # Each runtime has error types of its own for a model that it refuses.
    except Exception as err:
        raise RuntimeUnavailableError(
            f"{runtime} cannot load {path} ({first_line(err)}). Export it again, or {otherwise}."
        ) from err


def open_here(file: ModelFile, path: Path, threads: int, otherwise: str = _OTHERWISE) -> Session:
    """An artifact's model file loaded into this process; raises as `Here` does."""
    session = open_file(file.runtime, path, threads, otherwise)
    if session.input_shape != file.input.as_nchw:
        raise ArtifactError(
            f"{path} reads {session.input_shape}, and its manifest says {file.input.as_nchw}. "
            "Export it again."
        )
    return session
