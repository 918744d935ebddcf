"""Where the INT8 files of an artifact part from its float file, and from each other."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

import numpy as np

from edgeshuffle.dataset.artifact_images import calibration_images
from edgeshuffle.errors import ArtifactError, MissingExtraError, ModelError, RuntimeUnavailableError
from edgeshuffle.limits import check_limit
from edgeshuffle.metrics import agreement, none_if_equal
from edgeshuffle.progress import silent
from edgeshuffle.runner.files import files_by_format
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.converter.plan import QParams
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.compare.noise import Noise

    class _Taps(Protocol):
        @property
        def params(self) -> Mapping[str, QParams | None]: ...

        def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]: ...


T = TypeVar("T")

_MOVES: Final = frozenset({"Concat", "Split", "Slice", "Gather", "MaxPool", "Flatten"})


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Which artifact, on which images, and what is wrong.

    `data` None is the demo's calibration images. A layer is wrong with less than `min_sqnr` dB, or
    more than `max_steps` between the formats.
    """

    artifact: Artifact
    data: Path | None = None
    limit: int | None = None
    min_sqnr: float = 10.0
    max_steps: int = 2


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One value, by its name in the float ONNX file.

    `sqnr_db` has a file format's signal to quantization noise ratio, None without noise; a format
    with noise in a value that is zero throughout has no ratio, and is wrong. `steps` is
    the largest difference of the two formats in quantization steps, and `differing` the percentage
    of elements that differ: None for floats, or where there is one format only. `moves` tells that
    no new numbers are computed.
    """

    name: str
    operator: str
    moves: bool
    sqnr_db: dict[str, float | None]
    steps: int | None
    differing: float | None
    wrong: str | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Layers in the order of computation.

    `agreement` is the percentage of the `n` images with the same largest class, by pair. `fitted`
    tells that channels were equalized, so that each has been scaled back before it is compared.
    """

    model: str
    data: str
    n: int
    fitted: bool
    agreement: dict[str, float]
    layers: tuple[Layer, ...]

    @property
    def first_wrong(self) -> Layer | None:
        """Where it goes wrong, if it does."""
        return next((layer for layer in self.layers if layer.wrong), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        wrong = self.first_wrong
        return {**asdict(self), "first_wrong": None if wrong is None else wrong.name}


def compare(options: CompareOptions, progress: Progress | None = None) -> Comparison:
    """Run the float ONNX and all INT8 files side by side and look at every value.

    `progress` is called with a stage, and how much of how much is done. Raises ArtifactError (no
    float ONNX or no INT8 file), ModelError (values that are no finite numbers), DataError,
    MissingExtraError, and UnknownNameError for a limit that is no number.
    """
    check_limit("--min-sqnr", options.min_sqnr, -math.inf)
    check_limit("--max-steps", options.max_steps, 0)
    try:
        return _compare(options, progress or silent)
    except ModuleNotFoundError as err:
        if (err.name or "").startswith("edgeshuffle"):
            raise
        raise MissingExtraError(
            f"Comparing needs the package '{err.name}': pip install 'edgeshuffle[export]'."
        ) from err


def _compare(options: CompareOptions, progress: Progress) -> Comparison:
    from edgeshuffle.runner.compare.noise import Noise
    from edgeshuffle.runner.compare.onnx_taps import OnnxTaps
    from edgeshuffle.runner.compare.tflite_taps import TfliteTaps

    artifact = options.artifact
    data, images = calibration_images(artifact, options.data, options.limit)
    floats = files_by_format(artifact, "fp32").get("onnx") or _absent(artifact, "float ONNX")
    reference = _opened(OnnxTaps, artifact.path(floats))
    openers: dict[str, Callable[..., _Taps]] = {
        "onnx": OnnxTaps,
        "tflite": TfliteTaps,
    }
    taps = {
        kind: _opened(openers[kind], artifact.path(file), reference.operators)
        for kind, file in files_by_format(artifact, "int8").items()
    }
    if not taps:
        _absent(artifact, "INT8")
    last = list(reference.operators)[-1]
    fitted = "equalize" in (artifact.manifest.quantization or {}).get("steps_taken", ())
    names = [name for name in reference.operators if any(name in t.params for t in taps.values())]
    noises = {
        (kind, name): Noise(alike=not fitted or name == last)
        for name in names
        for kind in taps
        if name in taps[kind].params
    }
    apart: dict[str, _Apart] = {}
    logits: dict[str, list[np.ndarray]] = {"fp32": [], **{kind: [] for kind in taps}}
    for done, image in enumerate(images):
        progress("compare", done, len(images))
        expected = reference(image)
        found = {kind: run(image) for kind, run in taps.items()}
        logits["fp32"].append(expected[last].reshape(-1))
        for kind, run in taps.items():
            for name, value in found[kind].items():
                params = run.params[name]
                real = value if params is None else params.dequantize(value)
                noises[kind, name].add(expected[name], real)
                if name == last:
                    logits[kind].append(real.reshape(-1))
        for name in names:
            steps = [values[name] for values in found.values() if name in values]
            if len(steps) == 2 and all(array.dtype == np.int8 for array in steps):
                apart.setdefault(name, _Apart()).add(*steps)
    progress("compare", len(images), len(images))
    artifact.check_files(artifact.manifest.files)
    layers = [
        _layer(name, reference.operators[name], taps, noises, apart.get(name), options)
        for name in names
    ]
    stacked = {kind: np.stack(rows) for kind, rows in logits.items()}
    kinds = list(stacked)
    return Comparison(
        model=artifact.manifest.model,
        data=str(data),
        n=len(images),
        fitted=fitted,
        agreement={
            f"{one}/{other}": agreement(stacked[one], stacked[other])
            for index, one in enumerate(kinds)
            for other in kinds[index + 1 :]
        },
        layers=tuple(layers),
    )


class _Apart:
    """Differences of the formats' integers, over images."""

    def __init__(self) -> None:
        self.most = self.differing = self.count = 0

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        steps = np.abs(one.astype(np.int16) - other)
        self.most = max(self.most, int(steps.max()))
        self.differing += int(np.count_nonzero(steps))
        self.count += steps.size


def _layer(
    name: str,
    operator: str,
    taps: Mapping[str, _Taps],
    noises: Mapping[tuple[str, str], Noise],
    apart: _Apart | None,
    options: CompareOptions,
) -> Layer:
    ratios = {
        kind: _ratio(name, kind, noises[kind, name]) for kind in taps if (kind, name) in noises
    }
    wrong = [
        f"{kind} has {db:.1f} dB of {options.min_sqnr:g}"
        if math.isfinite(db)
        else f"{kind} is not zero where float is zero throughout"
        for kind, db in ratios.items()
        if db < options.min_sqnr
    ]
    if apart is not None and apart.most > options.max_steps:
        wrong.append(f"the formats are {apart.most} steps apart, of {options.max_steps}")
    return Layer(
        name=name,
        operator=operator,
        moves=operator in _MOVES,
        sqnr_db={kind: none_if_equal(db) for kind, db in ratios.items() if db > -math.inf},
        steps=None if apart is None else apart.most,
        differing=None if apart is None else 100 * apart.differing / apart.count,
        wrong="; ".join(wrong) or None,
    )


def _ratio(name: str, kind: str, noise: Noise) -> float:
    try:
        return noise.sqnr_db()
    except ValueError as err:
        raise ModelError(
            f"The layer '{name}' holds NaN or infinity in the float ONNX file or the {kind} file. "
            "Check the weights, and the mean and std; then export it again."
        ) from err


def _opened(opener: Callable[..., T], path: Path, *more: Any) -> T:
    try:
        return opener(path, *more)
    except ModuleNotFoundError:
        raise
    # Parsers and runtimes have errors of their own for a file that is not what it should be.
    except Exception as err:
        raise RuntimeUnavailableError(
            f"{path} cannot be run with its layers shown ({quoted(str(err)) or repr(err)}). Export "
            "it again."
        ) from err


def _absent(artifact: Artifact, what: str) -> NoReturn:
    raise ArtifactError(
        f"{artifact.folder} has no {what} file to compare. Export it again with one."
    )
