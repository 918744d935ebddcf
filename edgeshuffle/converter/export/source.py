"""The float ONNX model to start from, with all that the manifest says of its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from edgeshuffle.artifact import Preprocess, sha256
from edgeshuffle.converter import zoo
from edgeshuffle.converter.export.options import ExportOptions, model_name
from edgeshuffle.converter.export.reference import OnnxReference, Reference, TorchReference
from edgeshuffle.converter.zoo.cards import load_card
from edgeshuffle.errors import ModelError

CIFAR_RESOLUTION: Final = 32


@dataclass(frozen=True)
class Source:
    """A float ONNX model with everything the manifest says of where it came from.

    `reference` runs what was given, as it was given.
    """

    name: str
    proto: Any
    reference: Reference
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    source: dict[str, Any]
    notes: tuple[str, ...]


def from_zoo(options: ExportOptions) -> Source:
    """A ShuffleNetV2 of ours with demo, public or own weights; raises WeightsError."""
    loaded = zoo.load(
        width=options.width,
        weights=options.weights,
        num_classes=options.num_classes,
        resolution=options.resolution,
        stem=options.stem,
        key=options.key,
    )
    from edgeshuffle.converter.frontend.torch_module import to_onnx

    resolution = options.resolution
    if resolution is None and loaded.source["stem"] == "cifar":
        resolution = CIFAR_RESOLUTION
    preprocess = _preprocess(options, loaded.preprocess, resolution)
    return Source(
        loaded.card.name,
        to_onnx(loaded.module, preprocess.crop),
        TorchReference(loaded.module),
        preprocess,
        loaded.labels,
        loaded.source,
        loaded.notes,
    )


def from_onnx(options: ExportOptions) -> Source:
    """A user's own model file; raises ModelError."""
    from edgeshuffle.converter.frontend.onnx_file import read_onnx

    assert options.onnx is not None
    proto = read_onnx(options.onnx, options.resolution)
    constants = {tensor.name for tensor in proto.graph.initializer}
    entry = next(value for value in proto.graph.input if value.name not in constants)
    side = entry.type.tensor_type.shape.dim[2].dim_value
    digest = sha256(options.onnx)
    return Source(
        model_name(options),
        proto,
        OnnxReference(options.onnx, digest, options.resolution),
        _preprocess(options, load_card("shufflenet_v2_x1_0").preprocess, side),
        None,
        {"kind": "onnx", "file": options.onnx.name, "sha256": digest},
        () if options.mean else ("mean and std: ImageNet's (--mean and --std set them)",),
    )


def _preprocess(options: ExportOptions, card: Preprocess, resolution: int | None) -> Preprocess:
    crop = card.crop if resolution is None else resolution
    # Small networks see whole pictures; the margin of the card's crop belongs to photographs.
    resize = crop if crop <= zoo.SMALL_INPUT else round(card.resize * crop / card.crop)
    preprocess = Preprocess(
        resize=resize, crop=crop, mean=options.mean or card.mean, std=options.std or card.std
    )
    try:
        preprocess.check()
    except ValueError as err:
        raise ModelError(f"No picture can be prepared for {crop} pixels: {err}.") from err
    return preprocess
