"""Where the INT8 and fp16 files of an artifact part from its float file, and from each other."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import numpy as np

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.dataset.artifact_images import calibration_images
from edgeshuffle.errors import ArtifactError, RuntimeUnavailableError, needs_extra
from edgeshuffle.metrics import agreement
from edgeshuffle.progress import silent
from edgeshuffle.runner.batches import chunks
from edgeshuffle.runner.compare.layers import ComparedLayer, LayerErrors
from edgeshuffle.untrusted import quoted
from edgeshuffle.untrusted.gates import check_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.converter.plan import QParams
    from edgeshuffle.progress import Progress

    class LayerOutputs(Protocol):
        @property
        def params(self) -> Mapping[str, QParams | None]: ...

        def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]: ...


T = TypeVar("T")


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
class Comparison:
    """Layers in the order of computation.

    `agreement` is the percentage of the `n` images with the same largest class, by pair; of what is
    no classifier there is none. `outputs` are the layers that the network gives. `fitted` tells
    that channels were equalized, so that each has been scaled back before it is compared.
    """

    model: str
    data: str
    n: int
    fitted: bool
    agreement: dict[str, float]
    outputs: tuple[str, ...]
    layers: tuple[ComparedLayer, ...]

    @property
    def first_wrong(self) -> ComparedLayer | None:
        """Where it goes wrong, if it does."""
        return next((layer for layer in self.layers if layer.wrong), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        wrong = self.first_wrong
        return {**asdict(self), "first_wrong": None if wrong is None else wrong.name}


def compare(options: CompareOptions, progress: Progress | None = None) -> Comparison:
    """Run the float ONNX and all INT8 and fp16 files side by side and look at every value.

    `progress` is called with a stage, and how much of how much is done. Raises ArtifactError (no
    float ONNX, or no other file), ModelError (values that are no finite numbers), DataError,
    MissingExtraError, and UnknownNameError for a limit that is no number.
    """
    check_gate("`min_sqnr`", options.min_sqnr, -math.inf)
    check_gate("`max_steps`", options.max_steps, 0)
    with needs_extra("Comparing", "export"):
        return _compare(options, progress or silent)


def _compare(options: CompareOptions, progress: Progress) -> Comparison:
    from edgeshuffle.runner.compare.onnx_outputs import OnnxLayerOutputs
    from edgeshuffle.runner.compare.quantization_error import QuantizationError
    from edgeshuffle.runner.compare.tflite_outputs import TfliteLayerOutputs
    from edgeshuffle.runner.compare.wholes import WithWholes

    artifact = options.artifact
    data, images = calibration_images(artifact, options.data, options.limit)
    files = artifact.manifest.files
    floats = files_by_format(files, "fp32").get("onnx") or _absent(artifact, "float ONNX")
    reference = _opened(OnnxLayerOutputs, artifact.path(floats))
    openers: dict[str, Callable[..., LayerOutputs]] = {
        "onnx": OnnxLayerOutputs,
        "tflite": TfliteLayerOutputs,
    }
    halves = {file.precision: file for file in files if file.precision == "fp16"}
    compared = files_by_format(files, "int8") | halves
    formats = {
        kind: WithWholes(
            _opened(openers[file.format], artifact.path(file), reference.operators), reference.parts
        )
        for kind, file in compared.items()
    }
    if not formats:
        _absent(artifact, "INT8 or fp16")
    outputs = tuple(end.name for end in floats.outputs)
    classifies = artifact.manifest.num_classes is not None
    fitted = "equalize" in (artifact.manifest.quantization or {}).get("steps_taken", ())
    layers = {
        name: LayerErrors(
            name=name,
            operator=operator,
            of_float={
                kind: QuantizationError(same_values=not fitted or kind == "fp16" or name in outputs)
                for kind, run in formats.items()
                if name in run.params
            },
        )
        for name, operator in reference.operators.items()
        if any(name in run.params for run in formats.values())
    }
    logits: dict[str, list[np.ndarray]] = {"fp32": [], **{kind: [] for kind in formats}}
    done = 0
    for some in chunks(images, floats.batch):
        progress("compare", done, len(images))
        done += len(some)
        expected = _of_batch(reference, some, floats.batch)
        found = {
            kind: _common(_of_batch(run, some, floats.batch), expected)
            for kind, run in formats.items()
        }
        if classifies:
            logits["fp32"] += list(expected[outputs[0]].reshape(-1, len(some)).T)
        for kind, run in formats.items():
            for name, value in found[kind].items():
                params = run.params[name]
                real = value if params is None else params.dequantize(value)
                layers[name].of_float[kind].add(expected[name], real)
                if classifies and name == outputs[0]:
                    logits[kind] += list(real.reshape(-1, len(some)).T)
        for name, layer in layers.items():
            integers = [
                values[name]
                for values in found.values()
                if name in values and values[name].dtype == np.int8
            ]
            if len(integers) == 2:
                layer.between.add(*integers)
    progress("compare", len(images), len(images))
    artifact.check_files(files)
    return Comparison(
        model=artifact.manifest.model,
        data=str(data),
        n=len(images),
        fitted=fitted,
        agreement=_agreements(logits) if classifies else {},
        outputs=outputs,
        layers=tuple(
            layer.judged(options.min_sqnr, options.max_steps) for layer in layers.values()
        ),
    )


def _common(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without the channels that a lowered file has beyond the float file's."""
    return {name: value[: len(expected[name])] for name, value in found.items()}


def _of_batch(run: LayerOutputs, some: np.ndarray, batch: int) -> dict[str, np.ndarray]:
    """Values (C, pixels) of up to `batch` images by a file that takes so many at a time.

    What is missing is filled up with the last image, and cut off of the values, which have the
    pixels of one image after those of another.
    """
    missing = np.repeat(some[-1:], batch - len(some), axis=0)
    if not len(missing):
        return run(some)
    made = run(np.concatenate([some, missing]))
    return {name: value[:, : value.shape[1] * len(some) // batch] for name, value in made.items()}


def _agreements(logits: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """In percent of the images by pair of files, such as `fp32/onnx`."""
    return {
        f"{one}/{other}": agreement(np.stack(logits[one]), np.stack(logits[other]))
        for one, other in itertools.combinations(logits, 2)
    }


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
