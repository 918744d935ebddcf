"""Files that read pixels, held against those that they compute as.

Both run on the same pixels, in the runtime that they are for; the other one on what the pixels are
normalised to. INT8 files are given the same integers, so that they differ by rounding of the
probabilities only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact.manifest import ProvedFile
from edgeshuffle.converter.export.pixel_grid import levels_of
from edgeshuffle.converter.export.proof import (
    RANDOM_IMAGES,
    SEED,
    TOLERANCE,
    Proved,
    largest_difference,
    open_written,
)
from edgeshuffle.errors import PassError
from edgeshuffle.metrics import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.artifact import ModelFile, Preprocess
    from edgeshuffle.artifact.runtimes import Session
    from edgeshuffle.converter.plan import QParams
    from edgeshuffle.dataset import ImageSet

# Of the half a step that a byte is off at most, and the step that sets the likeliest class apart.
_ROUNDED: Final = 1.5 + TOLERANCE


def prove_pixels(
    proved: Proved,
    files: Sequence[ModelFile],
    folder: Path,
    preprocess: Preprocess,
    params: QParams | None,
    images: ImageSet | None,
) -> Proved:
    """What was proved of the others, with each of `files` that reads pixels.

    `params` are those of the input of INT8 files. Raises PassError where a value differs by more
    than the tolerance of float files, or where it is a byte, one and a half steps of it.
    """
    real = [] if images is None else [preprocess.pixels(image) for image in images]
    random = np.random.RandomState(SEED)
    shape = (1, *preprocess.shape)
    noise = [random.randint(0, 256, shape).astype(np.float32) for _ in range(RANDOM_IMAGES)]
    pixels = [*noise, *real]
    entries, outputs = [], {}
    for file in files:
        if file.base is None:
            continue
        levels = levels_of(preprocess, params if file.base == "int8" else None)
        base = next(one for one in files if (one.format, one.precision) == (file.format, file.base))
        session = open_written(file, folder / file.path)
        found = _run(file, session, pixels)
        given = [_looked_up(levels, one) for one in pixels]
        expected = _run(base, open_written(base, folder / base.path), given)
        if file.softmax:
            expected = [softmax(expected[0])]
        largest = _check(file, base, found, expected)
        entries.append(
            ProvedFile(
                path=file.path,
                runtime=file.runtime,
                version=session.version,
                largest_difference=largest,
            )
        )
        outputs[file.path] = [values[RANDOM_IMAGES:] for values in found]
    proof = replace(proved.proof, files=(*proved.proof.files, *entries))
    return Proved(proof, {**proved.outputs, **outputs})


def _looked_up(levels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """What (1, C, H, W) pixels become by (C, 256) levels."""
    channel = np.arange(len(levels))[:, None, None]
    made: np.ndarray = levels[channel, pixels[0].astype(np.intp)][None]
    return made


def _run(file: ModelFile, session: Session, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each output, (images, values), for images that a file takes a batch at a time."""
    rows = []
    for start in range(0, len(images), file.batch):
        part = list(images[start : start + file.batch])
        filled = [*part, *part[-1:] * (file.batch - len(part))]
        made = [value.reshape(file.batch, -1) for value in session.run(np.concatenate(filled))]
        rows.append([value[: len(part)].astype(np.float64) for value in made])
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def _check(
    file: ModelFile, base: ModelFile, found: list[np.ndarray], expected: list[np.ndarray]
) -> float | None:
    """The largest difference, relative to the values' size; raises PassError."""
    largest = 0.0
    for end, values, wanted in zip(file.outputs, found, expected, strict=True):
        scale = np.sqrt(np.mean(wanted**2, axis=1))
        size = np.maximum(np.abs(wanted), scale[:, None])
        rounding = _ROUNDED * end.scale if end.dtype == "uint8" and end.scale else 0.0
        if not (np.abs(values - wanted) <= TOLERANCE * size + rounding).all():
            apart = float(np.abs(values - wanted).max())
            raise PassError(
                f"{file.path} does not give for pixels what {base.path} gives for what they are "
                f"normalised to: a value of '{end.name}' differs by {apart:.2g}. Nothing is "
                "written. Leave out `pixels`, and please report it with the model."
            )
        largest = max(largest, largest_difference(values, wanted, scale))
    return float(f"{largest:.1g}")
