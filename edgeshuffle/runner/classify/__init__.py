"""Pictures to labels, by one model file, here or on a device."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from edgeshuffle.artifact import check_file
from edgeshuffle.artifact.class_names import read_class_names
from edgeshuffle.dataset.prepare import preprocess_picture
from edgeshuffle.errors import DataError, ModelError
from edgeshuffle.progress import silent
from edgeshuffle.runner.classify.given import given_pictures
from edgeshuffle.runner.classify.model import open_model
from edgeshuffle.runner.classify.scores import Guess, likeliest
from edgeshuffle.runner.classify.source import find_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.classify.given import Given
    from edgeshuffle.runner.classify.model import Model
    from edgeshuffle.runner.classify.source import Source

    Seen = Callable[[str, Image.Image, Sequence[Guess]], None]

# Probabilities may be beyond 0 and 1 by this, as 8 bits are of 1/256.
_ROUNDED: Final = 0.01

__all__ = ["Classification", "Classified", "ClassifyOptions", "Guess", "Times", "classify"]


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions:
    """What to classify: files, folders with all below them, .npz files, `-` for standard input.

    Without any, some of the demo's own test images. `artifact` may also be a .tflite or .onnx file,
    of an artifact or one that says itself how to use it; of an artifact, `runtime` and `precision`
    choose the file, and None is what is expected to be the fastest. `top` is how many classes are
    told of a picture; None is 5 of one picture, and 1 of several. `labels` is a file of class names
    for an artifact that has none, or instead of its own.
    """

    artifact: Artifact | Path
    pictures: tuple[Path, ...] = ()
    device: str = "local"
    runtime: str | None = None
    precision: str | None = None
    top: int | None = None
    labels: Path | None = None
    limit: int | None = None
    threads: int = 1
    wait: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Times:
    """Of one picture in milliseconds: `transfer` is what sending to a device and back adds to
    `infer`. None is what does not apply, or of an emulator would mean nothing.
    """

    decode: float
    preprocess: float
    infer: float | None
    transfer: float | None


@dataclass(frozen=True, kw_only=True)
class Classified:
    """One picture, upright, of (width, height) pixels, and its likeliest classes.

    `problem` says why it could not be classified; then there are no sizes, classes or times. `odd`
    is what was unusual about it, `truth` its own class where that is known, by index.
    """

    picture: str
    width: int | None
    height: int | None
    top: tuple[Guess, ...]
    truth: int | None
    truth_label: str | None
    odd: tuple[str, ...]
    ms: Times | None
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class Classification:
    """All pictures in order; `ms` are medians. `device` is None where all was done here."""

    model: str
    file: str
    runtime: str
    runtime_version: str
    precision: str | None
    device: DeviceInfo | None
    pictures: tuple[Classified, ...]
    ms: Times | None

    @property
    def problems(self) -> tuple[str, ...]:
        """Of the pictures that could not be classified."""
        return tuple(one.problem for one in self.pictures if one.problem is not None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def classify(
    options: ClassifyOptions, progress: Progress | None = None, seen: Seen | None = None
) -> Classification:
    """Decode and prepare each picture here, and run the model on it here or on the device.

    Pixels, not encoded pictures, are sent to a device, which needs no decoder; the preprocessing is
    the one that evaluation and calibration use, but for pictures with an EXIF orientation, which
    are turned upright first. A picture that cannot be classified is told with its `problem`, and
    the others are. `seen` is called with each one's name, decoded, and its classes.

    Raises DataError (no pictures, labels that do not fit), ModelError (no classifier, values that
    are no numbers), ArtifactError, UnknownNameError, MissingExtraError, RuntimeUnavailableError and
    DeviceError.
    """
    report = progress or silent
    source = find_source(options.artifact, options.runtime, options.precision)
    if options.labels is not None:
        source = replace(source, labels=read_class_names(options.labels))
    given = given_pictures(options.pictures, source, options.limit)
    # Its decoders are loaded with the first picture else, and would count as this one's time.
    Image.init()
    top = options.top or (5 if len(given) == 1 else 1)
    found = []
    with ExitStack() as stack:
        model = open_model(
            source,
            device=options.device,
            threads=options.threads,
            wait=options.wait,
            stack=stack,
            progress=report,
        )
        for index, one in enumerate(given):
            found.append(_classified(one, source, model, top, seen))
            report("classify", index + 1, len(given))
    ran = model.candidate
    if ran.file is not None:
        check_file(ran.path, ran.file)
    return Classification(
        model=source.name,
        file=ran.path.name,
        runtime=ran.runtime,
        runtime_version=model.version,
        precision=ran.precision or None,
        device=model.device,
        pictures=tuple(found),
        ms=_medians([one.ms for one in found if one.ms is not None]),
    )


def _classified(
    given: Given,
    source: Source,
    model: Model,
    top: int,
    seen: Seen | None,
) -> Classified:
    start = time.perf_counter_ns()
    try:
        decoded = given.decode()
    except DataError as err:
        return _refused(given, str(err))
    after_decoding = time.perf_counter_ns()
    try:
        values = preprocess_picture(decoded.image, source.preprocess_for(model.candidate))
    except DataError as err:
        return _refused(given, f"{given.name}: {err}")
    prepared = time.perf_counter_ns()
    ran = model.run(values)
    if not np.isfinite(ran.scores).all():
        raise ModelError(
            f"{model.candidate.path} gives values that are no finite numbers for "
            f"{given.name}. Check the weights, and the mean and std."
        )
    _check_scores(ran.scores, model)
    labels = source.labels
    if labels is not None and len(labels) != len(ran.scores):
        raise DataError(
            f"There are {len(labels)} names for {len(ran.scores)} classes. Give the names of those "
            "that the model was trained on as `labels`."
        )
    guesses = likeliest(ran.scores, model.candidate.gives, labels, top)
    if seen is not None:
        seen(given.name, decoded.image, guesses)
    return Classified(
        picture=given.name,
        width=decoded.image.width,
        height=decoded.image.height,
        top=guesses,
        truth=given.truth,
        truth_label=_label(given.truth, labels),
        odd=decoded.odd,
        ms=Times(
            decode=(after_decoding - start) / 1e6,
            preprocess=(prepared - after_decoding) / 1e6,
            infer=None if ran.infer_ns is None else ran.infer_ns / 1e6,
            transfer=None if ran.transfer_ns is None else ran.transfer_ns / 1e6,
        ),
        problem=None,
    )


def _check_scores(scores: np.ndarray, model: Model) -> None:
    """Raise ModelError for one logit, and for what a file says are probabilities and are none."""
    if model.candidate.gives != "probabilities":
        if len(scores) == 1:
            raise ModelError(
                f"{model.candidate.path} gives one logit, which is of no class. Export the model "
                "with a Sigmoid at its end."
            )
        return
    if not (scores.min() >= -_ROUNDED and scores.max() <= 1 + _ROUNDED):
        raise ModelError(
            f"{model.candidate.path} says that it gives probabilities, and gives "
            f"{scores.min():.4g} to {scores.max():.4g}. Export it again."
        )


def _refused(given: Given, problem: str) -> Classified:
    return Classified(
        picture=given.name,
        width=None,
        height=None,
        top=(),
        truth=given.truth,
        truth_label=None,
        odd=(),
        ms=None,
        problem=problem,
    )


def _label(index: int | None, labels: Sequence[str] | None) -> str | None:
    if index is None or labels is None or not 0 <= index < len(labels):
        return None
    return labels[index]


def _medians(times: Sequence[Times]) -> Times | None:
    if not times:
        return None

    def middle(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    return Times(
        decode=median(one.decode for one in times),
        preprocess=median(one.preprocess for one in times),
        infer=middle([one.infer for one in times]),
        transfer=middle([one.transfer for one in times]),
    )
