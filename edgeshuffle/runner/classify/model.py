"""A classifier's model file in a runtime, here or on a device, timed either way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import (
    ArtifactError,
    EdgeShuffleError,
    MissingExtraError,
    RuntimeUnavailableError,
)
from edgeshuffle.runner.batches import in_batches
from edgeshuffle.runner.here import file_shapes, open_file, open_here, run_here
from edgeshuffle.untrusted import first_line
from edgeshuffle.untrusted.bounds import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.classify.source import Candidate, Source

    Infer = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """The scores of one picture, (classes,), and times in ns: of the inference, and of all that is
    around it on a device. They are None where an emulator's would mean nothing.
    """

    scores: np.ndarray
    infer_ns: int | None
    transfer_ns: int | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded file; `device` is None where it runs in this process."""

    candidate: Candidate
    version: str
    device: DeviceInfo | None
    run: Callable[[np.ndarray], Ran]


def open_model(
    source: Source,
    *,
    device: str,
    threads: int,
    wait: float,
    stack: ExitStack,
    progress: Progress,
) -> Model:
    """The first of its files whose runtime is there, loaded until the stack is left.

    Raises MissingExtraError, RuntimeUnavailableError, ArtifactError, and for a device
    UnknownNameError and DeviceError.
    """
    if device == "local":
        return _first(source.candidates, lambda one: _here(one, source, threads))
    there = stack.enter_context(open_device(device, progress))
    there.set_up(wait)
    info = DeviceInfo.of(there.describe())

    def load(one: Candidate) -> Model:
        session = open_agent(there, one, one.path, threads=threads)
        shapes = None if one.file is None else file_shapes(one.file)
        batch = _batch(one, source, session.ready.input_shape)

        def run(image: np.ndarray) -> Ran:
            start = time.perf_counter_ns()
            taken: list[int | None] = []

            def infer(images: np.ndarray) -> list[np.ndarray]:
                outputs, ns = session.timed_run(images, shapes)
                taken.append(ns)
                return _scores(one, outputs, batch)

            (scores,) = in_batches(infer, image, batch)
            whole = time.perf_counter_ns() - start
            (inner,) = taken
            if inner is None or info.emulated:
                return Ran(scores=scores.reshape(-1), infer_ns=None, transfer_ns=None)
            outside = max(whole - inner, 0)
            return Ran(scores=scores.reshape(-1), infer_ns=inner, transfer_ns=outside)

        return Model(candidate=one, version=session.ready.runtime_version, device=info, run=run)

    return _first(source.candidates, load)


def _first(candidates: Sequence[Candidate], load: Callable[[Candidate], Model]) -> Model:
    """Where a runtime is missing, the next file will do; raises what the last one did."""
    for one in candidates[:-1]:
        try:
            return load(one)
        except MissingExtraError:
            continue
    return load(candidates[-1])


def _here(one: Candidate, source: Source, threads: int) -> Model:
    if one.file is None:
        session = open_file(one.runtime, one.path, threads, "give another file")
        infer = _careful(one, session.run)
    else:
        session = open_here(one.file, one.path, threads, "choose another `runtime`")
        infer = _careful(one, partial(run_here, one.file, session))
    batch = _batch(one, source, session.input_shape)
    # The first inference sets things up, and is none of a picture's; an agent makes one, too.
    infer(np.zeros(session.input_shape, np.float32))

    def run(image: np.ndarray) -> Ran:
        start = time.perf_counter_ns()
        scores = in_batches(infer, image, batch)[0]
        taken = time.perf_counter_ns() - start
        return Ran(scores=scores.reshape(-1), infer_ns=taken, transfer_ns=None)

    return Model(candidate=one, version=session.version, device=None, run=run)


def _careful(one: Candidate, infer: Infer) -> Infer:
    """Only the scores, a row an image; raises RuntimeUnavailableError for a file that fails."""

    def run(images: np.ndarray) -> list[np.ndarray]:
        try:
            made = infer(images)
        except EdgeShuffleError:
            raise
        # Each runtime has error types of its own for a model that it cannot run.
        except Exception as err:
            raise RuntimeUnavailableError(
                f"{one.runtime} cannot run {one.path} ({first_line(err)}). Export it again."
            ) from err
        return _scores(one, made, len(images))

    return run


def _scores(one: Candidate, made: list[np.ndarray], n: int) -> list[np.ndarray]:
    """The first output, (n, classes); raises RuntimeUnavailableError where there is none."""
    if not made or not made[0].size or made[0].size % n:
        raise RuntimeUnavailableError(f"{one.path} gives no scores. Export it again.")
    return [made[0].reshape(n, -1)]


def _batch(one: Candidate, source: Source, shape: Sequence[int]) -> int:
    """How many images it takes at once, if they are those that pictures become."""
    batch, *image = shape
    if not 0 < batch <= MAX_BATCH:
        raise ArtifactError(
            f"{one.path} reads {batch} images at once, not 1 to {MAX_BATCH}. Export it again."
        )
    if tuple(image) != source.preprocess.shape:
        raise ArtifactError(
            f"{one.path} reads {list(image)}, and pictures are prepared to "
            f"{list(source.preprocess.shape)}. Export it again."
        )
    return batch
