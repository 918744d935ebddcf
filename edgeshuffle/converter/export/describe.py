"""The manifest of an export."""

from __future__ import annotations

import dataclasses
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle import __version__
from edgeshuffle.artifact import SCHEMA_VERSION, Manifest, ModelFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.export.quantization import Int8
    from edgeshuffle.converter.export.request import OnnxForm
    from edgeshuffle.converter.export.source import Source
    from edgeshuffle.converter.passes import PassLog

# What every export needs, and what only some do.
_TOOLS: Final = ("numpy", "onnx", "onnx-ir", "onnxruntime", "torch")
_TOOLS_OF_FORMAT: Final = {"onnx": (), "tflite": ("ai-edge-litert", "flatbuffers")}
_TOOLS_OF_ONNX: Final = ("onnxsim",)


def quantization_entry(made: Int8, onnx: OnnxForm) -> dict[str, Any]:
    """How the INT8 files were made."""
    asked = made.asked
    graph, activations = made.quantized.model.graph, made.quantized.plan.activations
    return {
        "recipe": dataclasses.asdict(asked.recipe),
        "steps_taken": list(made.quantized.steps),
        "budget": None if made.budget is None else dataclasses.asdict(made.budget),
        "onnx_style": onnx.style,
        "onnx_activations": onnx.activations,
        "calibration": "made up" if asked.images is None else "given",
        "calibration_images": len(made.calibration),
        "calibration_drift": None if made.drift is None else dataclasses.asdict(made.drift),
        "images_fitted": made.quantized.fitted,
        "images_held_out": made.quantized.held_out,
        "calibration_sha256": made.calibration.digest,
        "input": dataclasses.asdict(activations[graph.inputs[0].name or ""]),
        "outputs": {
            name: dataclasses.asdict(activations[name])
            for value in graph.outputs
            if (name := value.name or "") in activations
        },
    }


def make_manifest(
    source: Source,
    model: ir.Model,
    logs: Sequence[PassLog],
    files: tuple[ModelFile, ...],
    quantization: dict[str, Any] | None,
) -> Manifest:
    """All but what is measured on the finished files."""
    macs, parameters = _size(model)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        model=source.name,
        source=source.source,
        num_classes=files[0].classes,
        preprocess=source.preprocess,
        passes=tuple(
            {"name": log.name, "rewrites": log.outcome.rewrites, "left": list(log.outcome.left)}
            for log in logs
        ),
        quantization=quantization,
        metrics={},
        macs=macs,
        parameters=parameters,
        tools=_tools(files, from_onnx=source.source["kind"] == "onnx"),
        files=files,
    )


def _tools(files: Sequence[ModelFile], *, from_onnx: bool) -> dict[str, str]:
    """Versions of what made this export."""
    formats = dict.fromkeys(file.format for file in files)
    names = [*_TOOLS, *(name for kind in formats for name in _TOOLS_OF_FORMAT[kind])]
    if from_onnx:
        names += _TOOLS_OF_ONNX
    return {"edgeshuffle": __version__, **{name: version_of(name) for name in names}}


def version_of(name: str) -> str:
    """The version of an installed package, also where another distribution provides its module,
    as `onnxruntime-gpu` does `onnxruntime`.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        module = name.replace("-", "_")
        providers = metadata.packages_distributions().get(module, [])
        if providers:
            return metadata.version(providers[0])
        return str(getattr(import_module(module), "__version__", "unknown"))


def _size(model: ir.Model) -> tuple[int, int]:
    """Multiply-accumulates an image, and parameters after folding."""
    from edgeshuffle.converter.operators import is_conv, operator_of

    costs = [operator_of(node).cost(node) for node in model.graph if is_conv(node)]
    return sum(cost.macs for cost in costs), sum(cost.parameters for cost in costs)
