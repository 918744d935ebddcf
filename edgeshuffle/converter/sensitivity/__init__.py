"""Which layers of an artifact suffer from quantization: each one alone, ranked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgeshuffle.converter.quant.recipe import DEFAULT, Recipe, load_recipe, read_recipe
from edgeshuffle.dataset.artifact_images import calibration_images
from edgeshuffle.errors import ArtifactError, MissingExtraError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import onnx_ir as ir

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.converter.sensitivity.layers import Layer
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
    """The layers, the noisiest first, and all of them in INT8 together.

    `sqnr_db` of the logits is None without noise, `agreement` in percent of the `n` images.
    """

    model: str
    recipe: str
    calibrator: str
    data: str
    n: int
    sqnr_db: float | None
    agreement: float
    layers: tuple[Layer, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def sensitivity(options: SensitivityOptions, progress: Progress | None = None) -> Sensitivity:
    """Quantize the artifact's float ONNX model anew, calibrated by the images, then layer by layer.

    `progress` is called with a stage, and how much of how much is done. Raises ArtifactError
    (no float ONNX file), DataError, ModelError, UnknownNameError (recipe) and MissingExtraError.
    """
    try:
        return _sensitivity(options, progress or (lambda *_: None))
    except ModuleNotFoundError as err:
        if (err.name or "").startswith("edgeshuffle"):
            raise
        raise MissingExtraError(
            f"Quantizing needs the package '{err.name}': pip install 'edgeshuffle[export]'."
        ) from err


def _sensitivity(options: SensitivityOptions, progress: Progress) -> Sensitivity:
    from edgeshuffle.converter.emit.trial import Trial
    from edgeshuffle.converter.quant import quantize
    from edgeshuffle.converter.sensitivity.layers import logits, rank
    from edgeshuffle.metrics import agreement, none_if_equal, sqnr_db

    manifest = options.artifact.manifest
    recipe = _recipe(options)
    data, images = calibration_images(options.artifact, options.data, options.limit)
    model = _float_model(options.artifact)
    quantized = quantize(model, images, recipe, progress)
    kept = list(images)
    expected = logits(Trial(model, None), kept)
    if not expected.any():
        raise ModelError(
            f"{options.artifact.folder}: the float file gives zero for every class of every image, "
            "so no noise can be compared with it. Check the weights."
        )
    found = logits(Trial(quantized.model, quantized.plan), kept)
    return Sensitivity(
        model=manifest.model,
        recipe=recipe.name,
        calibrator=recipe.calibrator,
        data=str(data),
        n=len(kept),
        sqnr_db=none_if_equal(sqnr_db(expected, found)),
        agreement=agreement(expected, found),
        layers=rank(
            quantized.model,
            quantized.plan,
            kept,
            expected,
            lambda done, total: progress("layers", done, total),
        ),
    )


def _recipe(options: SensitivityOptions) -> Recipe:
    """The one that is asked for, or exactly what the artifact was quantized by."""
    quantization = options.artifact.manifest.quantization
    if options.recipe is not None or quantization is None:
        return load_recipe(options.recipe or DEFAULT)
    try:
        return read_recipe(dict(quantization.get("recipe") or {}))
    except (TypeError, ValueError) as err:
        raise ArtifactError(
            f"{options.artifact.folder}: the manifest's recipe cannot be read ({err}). Export it "
            "again, or give --recipe."
        ) from err


def _float_model(artifact: Artifact) -> ir.Model:
    from edgeshuffle.converter.frontend import to_ir
    from edgeshuffle.converter.frontend.onnx_file import read_onnx
    from edgeshuffle.converter.operators.check import check_core
    from edgeshuffle.converter.passes import run_passes

    for file in artifact.manifest.files:
        if file.format == "onnx" and file.precision == "fp32":
            model = to_ir(read_onnx(artifact.path(file), None))
            artifact.check_files([file])
            run_passes(model)
            check_core(model)
            return model
    raise ArtifactError(
        f"{artifact.folder} has no float ONNX file to quantize. Export it again with that format."
    )
