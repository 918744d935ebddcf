"""The manifest of an export."""

from __future__ import annotations

import dataclasses
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle import __version__
from edgeshuffle.artifact import SCHEMA_VERSION, Manifest, ModelFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.export.budget import Budget
    from edgeshuffle.converter.export.options import ExportOptions
    from edgeshuffle.converter.export.source import Source
    from edgeshuffle.converter.passes import PassLog
    from edgeshuffle.converter.quant import Quantized
    from edgeshuffle.converter.quant.recipe import Recipe
    from edgeshuffle.dataset import ImageSet


# What every export needs, and what only some do.
_TOOLS: Final = ("numpy", "onnx", "onnx-ir", "onnxruntime", "onnxsim", "torch")
_TOOLS_OF_FORMAT: Final = {"onnx": (), "tflite": ("ai-edge-litert", "flatbuffers")}
_TOOLS_OF_TORCH: Final = ("onnxscript",)


def make_manifest(
    source: Source,
    model: ir.Model,
    logs: Sequence[PassLog],
    files: tuple[ModelFile, ...],
    options: ExportOptions,
    quantized: Quantized | None,
    recipe: Recipe | None,
    images: ImageSet | None,
    budget: Budget | None,
) -> Manifest:
    """All but what is measured on the finished files."""
    macs, parameters = _size(model)
    quantization = None
    if quantized is not None and recipe is not None and images is not None:
        activations = quantized.plan.activations
        quantization = {
            "recipe": dataclasses.asdict(recipe),
            "steps_taken": list(quantized.steps),
            "budget": None if budget is None else dataclasses.asdict(budget),
            "onnx_style": options.onnx_style,
            "onnx_activations": options.onnx_activations,
            "calibration_images": len(images),
            "images_fitted": quantized.fitted,
            "images_held_out": quantized.held_out,
            "calibration_sha256": images.digest,
            "input": dataclasses.asdict(activations[model.graph.inputs[0].name or ""]),
            "output": dataclasses.asdict(activations[model.graph.outputs[0].name or ""]),
        }
    return Manifest(
        schema_version=SCHEMA_VERSION,
        model=source.name,
        source=source.source,
        num_classes=int(np.prod(files[0].output.shape)),
        preprocess=source.preprocess,
        passes=tuple(
            {"name": log.name, "rewrites": log.outcome.rewrites, "left": list(log.outcome.left)}
            for log in logs
        ),
        quantization=quantization,
        metrics={},
        macs=macs,
        parameters=parameters,
        tools=_tools(options),
        files=files,
    )


def _tools(options: ExportOptions) -> dict[str, str]:
    """Versions of what made this export."""
    names = [*_TOOLS, *(name for kind in options.formats for name in _TOOLS_OF_FORMAT[kind])]
    if options.onnx is None:
        names += _TOOLS_OF_TORCH
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
    from edgeshuffle.converter.operators import operator_of

    costs = [operator_of(node).cost(node) for node in model.graph if node.op_type == "Conv"]
    return sum(cost.macs for cost in costs), sum(cost.parameters for cost in costs)
