"""Run the source model and every written file on the same images, and compare each output.

The source is what was given, before any rewrite; each file runs in the runtime that it is for. So
nothing between the two, neither a rewrite nor a writer nor a runtime, is taken on trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact.manifest import Proof, ProvedFile
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.export.batch import TRIED
from edgeshuffle.errors import ModelError, PassError, RuntimeUnavailableError
from edgeshuffle.host.workers import Workers
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgeshuffle.artifact.manifest import ModelFile
    from edgeshuffle.artifact.runtimes import Session
    from edgeshuffle.converter.export.reference import Reference
    from edgeshuffle.dataset import ImageSet
    from edgeshuffle.progress import Progress

# Of a value, relative to the root mean square of its output for the image. Adding floats up in
# another order gives up to 6e-6 on ShuffleNetV2 x0.5 to x2.0, trained and random, in both runtimes;
# two swapped channels of any layer of the demo networks give 2e-2 or more. This is 200 times the
# one, and a twentieth of the other.
TOLERANCE: Final = 1e-3
# Of an fp16 file, whose graph is proved with weights that are not rounded. Rounded ones give up to
# 2e-2 on the demo networks, and fp16 arithmetic, where a processor has it, about twice that.
HALF_TOLERANCE: Final = 1e-1
_ALLOWED: Final = {"fp32": TOLERANCE, "fp16": HALF_TOLERANCE}
RANDOM_IMAGES: Final = 4
SEED: Final = 2018
# Between the INT8 files of the formats, in steps of the logits' scale. On the demo networks, none
# with all layers in INT8, and up to 2 with some in float, whose last digits decide on ties (24
# choices of layers, 20 images each).
WHOLE_STEPS: Final = 2
MIXED_STEPS: Final = 4
_ROUNDED: Final = 0.5
_LEAST_SCALE: Final = 0.01


@dataclass(frozen=True)
class Steps:
    """The size of a step of each output of INT8 files, and how many may be between two formats."""

    sizes: tuple[float, ...]
    allowed: int


@dataclass(frozen=True, eq=False)
class Proved:
    """The proof, and by the files' names (images, values) of the real images for each output."""

    proof: Proof
    outputs: dict[str, list[np.ndarray]]


def prove(
    source: Reference,
    files: tuple[ModelFile, ...],
    folder: Path,
    images: ImageSet | None,
    steps: Steps | None,
    progress: Progress,
    *,
    dynamic: bool = False,
) -> Proved:
    """Compare the files in `folder` with the source, on real images if there are any, and INT8
    files with each other, by `steps`, each with its own batch; `dynamic` ones with several.

    Raises PassError where a float file differs by more than the tolerance, or two INT8 files by
    more steps than allowed, ModelError where an fp16 file does, or the source gives NaN, infinity
    or another number of values, RuntimeUnavailableError where a runtime does not load its file, and
    MissingExtraError.
    """
    real = [] if images is None else list(images)
    shape = (1, *files[0].image_shape)
    random = np.random.RandomState(SEED)
    noise = [random.standard_normal(shape).astype(np.float32) for _ in range(RANDOM_IMAGES)]
    compared = [*noise, *real]
    total = (len(files) + 1) * len(compared)
    done = 0
    counting = Lock()

    def run(model: Callable[[np.ndarray], list[np.ndarray]], batch: int = 1) -> list[np.ndarray]:
        nonlocal done
        found = []
        for start in range(0, len(compared), batch):
            part = compared[start : start + batch]
            made = model(np.concatenate([*part, *part[-1:] * (batch - len(part))]))
            alone = [output.reshape(batch, -1) for output in made]
            found += [[output[index] for output in alone] for index in range(len(part))]
            with counting:
                done += len(part)
                progress("check", done, total)
        return [np.stack(output).astype(np.float64) for output in zip(*found, strict=True)]

    def run_file(file: ModelFile) -> tuple[Session, list[np.ndarray]]:
        session = open_written(file, folder / file.path)
        found = run(session.run, file.batch)
        if dynamic:
            _check_together(file, session, compared, found)
        return session, found

    names = [output.name for output in files[0].outputs]
    with Workers() as workers:
        given = workers.begin(lambda _: run(source, source.batch), [None])
        ran = workers.begin(run_file, files)
        (expected,) = given()
        _check_source(source.name, expected, files[0])
        opened = ran()
    scales = [_scale(values) for values in expected]
    proved, outputs = [], {}
    quantized: dict[str, list[np.ndarray]] = {}
    for file, (session, found) in zip(files, opened, strict=True):
        counted = slice(RANDOM_IMAGES if file.precision == "int8" else 0, None)
        apart = [
            largest_difference(values[counted], wanted[counted], scale[counted])
            for values, wanted, scale in zip(found, expected, scales, strict=True)
        ]
        largest = max(apart)
        allowed = _ALLOWED.get(file.precision, np.inf)
        if not largest <= allowed:
            where = names[apart.index(largest)]
            text = (
                f"{file.path} does not compute what {source.name} does: in {file.runtime}, a value "
                f"of '{where}' differs by {largest:.2g} of their size on {len(compared)} images "
                f"({allowed:g} is allowed). Nothing is written."
            )
            if file.precision == "fp16":
                raise ModelError(f"{text} fp16 is too coarse for this network: leave `fp16` out.")
            raise PassError(f"{text} Please report it with the model.")
        outputs[file.path] = [values[RANDOM_IMAGES:] for values in found]
        if file.precision == "int8":
            quantized[file.path] = found
        proved.append(
            ProvedFile(
                path=file.path,
                runtime=file.runtime,
                version=session.version,
                # The last digits depend on how a machine adds up.
                largest_difference=float(f"{largest:.1g}") if np.isfinite(largest) else None,
            )
        )
    precisions = {file.precision for file in files}
    return Proved(
        Proof(
            source=source.name,
            images=len(real),
            images_sha256=None if images is None else images.digest,
            random_images=RANDOM_IMAGES,
            seed=SEED,
            tolerance=TOLERANCE,
            fp16_tolerance=HALF_TOLERANCE if "fp16" in precisions else None,
            files=tuple(proved),
            int8_steps=_steps_apart(quantized, names, steps),
        ),
        outputs,
    )


def _check_source(name: str, expected: list[np.ndarray], file: ModelFile) -> None:
    """Raise ModelError unless the source gives as many finite numbers as the files do."""
    sizes = [values.shape[1] for values in expected]
    wanted = [int(np.prod(output.shape)) // file.batch for output in file.outputs]
    if sizes != wanted or not all(np.isfinite(values).all() for values in expected):
        given, written = (", ".join(map(str, numbers)) for numbers in (sizes, wanted))
        raise ModelError(
            f"{name} gives {given} values where {written} are expected, or NaN or infinity. Check "
            "its weights, and the mean and std."
        )


def _scale(expected: np.ndarray) -> np.ndarray:
    """The size of an output's values for each image."""
    scale = np.sqrt(np.mean(expected**2, axis=1))
    # An image for which they nearly vanish cannot be compared more finely than the others.
    least = _LEAST_SCALE * float(np.sqrt(np.mean(expected**2)))
    floored: np.ndarray = np.maximum(scale, least)
    return floored


def _check_together(
    file: ModelFile, session: Session, images: list[np.ndarray], alone: list[np.ndarray]
) -> None:
    """Raise PassError unless a file gives the same for some images at once as for each."""
    made = session.run(np.concatenate(images[:TRIED]))
    for output, values, whole in zip(file.outputs, made, alone, strict=True):
        together = values.reshape(min(TRIED, len(images)), -1)
        apart = np.abs(together - whole[:TRIED]).max()
        if not apart <= TOLERANCE * np.abs(whole).max():
            raise PassError(
                f"{file.path} gives other values of '{output.name}' for {TRIED} images at once "
                "than for each alone. Nothing is written. Leave out `batch=dynamic`, and please "
                "report it with the model."
            )


def _steps_apart(
    outputs: dict[str, list[np.ndarray]], names: list[str], steps: Steps | None
) -> float | None:
    """By how many steps the INT8 files differ at most; raises PassError for too many."""
    if len(outputs) < 2 or steps is None:
        return None
    (first, expected), *others = outputs.items()
    apart = 0.0
    for path, found in others:
        for name, one, other, size in zip(names, expected, found, steps.sizes, strict=True):
            between = float(np.abs(other - one).max()) / size
            # Logits may be floats: they are as far apart as integers that they could be rounded to.
            if not between <= steps.allowed + _ROUNDED:
                raise PassError(
                    f"{first} and {path} hold the same integers, but a value of '{name}' differs "
                    f"by {between:.1f} steps of {size:.2g} ({steps.allowed} are allowed). Nothing "
                    "is written. Please report it with the model."
                )
            apart = max(apart, round(between, 1))
    return apart


def open_written(file: ModelFile, path: Path) -> Session:
    """A file in its runtime; raises RuntimeUnavailableError where that does not load it."""
    runtime = RUNTIMES[file.runtime]
    try:
        return runtime.open_session(str(path), 1)
    except Exception as err:  # each runtime has types of its own for a model that it refuses
        raise RuntimeUnavailableError(
            f"{file.runtime} cannot load {path.name} ({quoted(str(err))}), so it was not written. "
            "Leave the format out with `formats`, or please report it with the model."
        ) from err


def largest_difference(found: np.ndarray, wanted: np.ndarray, scale: np.ndarray) -> float:
    """The largest difference, over the value's size, or its output's where that is larger.

    Without a size, no difference is small. NaN counts as infinite.
    """
    differences = np.abs(found - wanted)
    if not np.isfinite(differences).all():
        return float("inf")
    # Boxes of a detector are many times the size of its scores, and rounded as coarsely.
    sizes = np.maximum(np.abs(wanted), scale[:, None])
    ratios = np.divide(
        differences, sizes, out=np.where(differences > 0, np.inf, 0.0), where=sizes > 0
    )
    return float(ratios.max(initial=0))
