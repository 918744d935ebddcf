"""Which layers of an artifact suffer from quantization: each one alone, ranked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.converter.quant.recipe import DEFAULT, Recipe, load_recipe, read_recipe
from edgeshuffle.dataset.artifact_images import calibration_images
from edgeshuffle.errors import ArtifactError, ModelError, Obstacles, needs_extra
from edgeshuffle.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    import onnx_ir as ir

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.artifact.manifest import ModelFile
    from edgeshuffle.converter.sensitivity.layers import LayerSensitivity
    from edgeshuffle.dataset import ImageSet
    from edgeshuffle.progress import Progress


@dataclass(frozen=True, kw_only=True)
class SensitivityOptions:
    """Which artifact's layers, on which images.

    `data` None is the demo's calibration images, `recipe` None the artifact's own with its own
    calibrator.
    """

    artifact: Artifact
    data: Path | None = None
    recipe: str | None = None
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The layers, the most sensitive first, and all of them in INT8 together.

    `sqnr_db` is None without quantization noise; that of several outputs is of their mean noise
    over signal, and `outputs` has each one's. `agreement` is in percent of the `n` images, None of
    what is no classifier.
    """

    model: str
    recipe: str
    calibrator: str
    data: str
    n: int
    sqnr_db: float | None
    agreement: float | None
    outputs: dict[str, float | None]
    layers: tuple[LayerSensitivity, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def sensitivity(options: SensitivityOptions, progress: Progress | None = None) -> Sensitivity:
    """Quantize the artifact's float ONNX model anew, calibrated by the images, then layer by layer.

    `progress` is called with a stage, and how much of how much is done. Raises ArtifactError
    (no float ONNX file), DataError, ModelError, UnknownNameError (recipe) and MissingExtraError.
    """
    request = _resolve(options)
    with needs_extra("Quantizing", "export"):
        return _sensitivity(request, progress or silent)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Request:
    """The float ONNX file of an artifact, how to quantize it, and the images that are at `data`."""

    artifact: Artifact
    file: ModelFile
    recipe: Recipe
    data: Path
    images: ImageSet


def _resolve(options: SensitivityOptions) -> _Request:
    """Raises EdgeShuffleError with all that stands in the way."""
    obstacles = Obstacles()
    artifact, file, recipe, found = options.artifact, None, None, None
    with obstacles.noted():
        file = _float_file(artifact)
    with obstacles.noted():
        recipe = _recipe(artifact, options.recipe)
    with obstacles.noted():
        found = calibration_images(artifact, options.data, options.limit)
    obstacles.refuse()
    assert file is not None
    assert recipe is not None
    assert found is not None
    data, images = found
    return _Request(artifact=artifact, file=file, recipe=recipe, data=data, images=images)


def _sensitivity(request: _Request, progress: Progress) -> Sensitivity:
    from edgeshuffle.converter.emit.onnx_session import OnnxSession
    from edgeshuffle.converter.quant import quantize
    from edgeshuffle.converter.sensitivity.layers import agreed, noise, outputs, rank
    from edgeshuffle.metrics import decibels, none_if_equal, sqnr_db

    model = _float_model(request.artifact, request.file)
    preprocess = request.artifact.manifest.preprocess
    quantized = quantize(model, request.images, request.recipe, progress, preprocess)
    kept = list(request.images)
    expected = outputs(OnnxSession(model, None), kept)
    classifies = request.artifact.manifest.num_classes is not None
    if not any(values.any() for values in expected):
        raise ModelError(
            f"{request.artifact.folder}: the float file gives only zeros for every image, so no "
            "quantization error can be compared with it. Check the weights."
        )
    found = outputs(OnnxSession(quantized.model, quantized.plan), kept)
    return Sensitivity(
        model=request.artifact.manifest.model,
        recipe=request.recipe.name,
        calibrator=request.recipe.calibrator,
        data=str(request.data),
        n=len(kept),
        sqnr_db=none_if_equal(decibels(1.0, noise(expected, found))),
        agreement=agreed(expected, found, classifies=classifies),
        outputs={
            end.name: none_if_equal(sqnr_db(one, other))
            for end, one, other in zip(request.file.outputs, expected, found, strict=True)
            if one.any()
        },
        layers=rank(
            quantized.model,
            quantized.plan,
            kept,
            expected,
            lambda done, total: progress("layers", done, total),
            classifies=classifies,
        ),
    )


def _recipe(artifact: Artifact, asked: str | None) -> Recipe:
    """The one that is asked for, or exactly what the artifact was quantized by."""
    quantization = artifact.manifest.quantization
    if asked is not None or quantization is None:
        return load_recipe(asked or DEFAULT)
    try:
        return read_recipe(dict(quantization.get("recipe") or {}))
    except (TypeError, ValueError) as err:
        raise ArtifactError(
            f"{artifact.folder}: the manifest's recipe cannot be read ({err}). Export it "
            "again, or give `recipe`."
        ) from err


def _float_file(artifact: Artifact) -> ModelFile:
    file = files_by_format(artifact.manifest.files, "fp32").get("onnx")
    if file is None:
        raise ArtifactError(
            f"{artifact.folder} has no float ONNX file to quantize. Export it again with that "
            "format."
        )
    return file


def _float_model(artifact: Artifact, file: ModelFile) -> ir.Model:
    from edgeshuffle.converter.frontend import to_ir
    from edgeshuffle.converter.frontend.onnx_file import read_onnx
    from edgeshuffle.converter.operators.check import keep
    from edgeshuffle.converter.passes import run_passes

    model = to_ir(read_onnx(artifact.path(file), None))
    artifact.check_files([file])
    run_passes(model)
    keep(model)
    return model
