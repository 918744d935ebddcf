"""The float model to start from, with all that the manifest says of its origin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.artifact import Preprocess, sha256
from edgeshuffle.converter import zoo
from edgeshuffle.converter.export.pictures import make_preprocess, note, own_normalisation
from edgeshuffle.converter.export.reference import (
    BeforeNormalisation,
    OnnxReference,
    Reference,
    TorchReference,
)
from edgeshuffle.converter.export.request import InputChoice, OnnxFile, ZooModel
from edgeshuffle.converter.zoo.cards import load_card

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

CIFAR_RESOLUTION: Final = (32, 32)


@dataclass(frozen=True)
class Source:
    """A float model with everything the manifest says of where it came from.

    `reference` runs what was given, as it was given, of `batch` images at once; `classes` are class
    names in a checkpoint; `module` is a network of the zoo, with its batch norms.
    """

    name: str
    model: ir.Model
    reference: Reference
    classes: dict[str, Any]
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    source: dict[str, Any]
    notes: tuple[str, ...]
    batch: int = 1
    module: torch.nn.Module | None = None


def open_source(model: OnnxFile | ZooModel, given: InputChoice) -> Source:
    """Load a model; raises ModelError and WeightsError."""
    return _from_onnx(model, given) if isinstance(model, OnnxFile) else _from_zoo(model, given)


def _from_zoo(model: ZooModel, given: InputChoice) -> Source:
    small = given.resolution is not None and max(given.resolution) <= zoo.SMALL_INPUT
    loaded = zoo.load(replace(model.wanted, small=small))
    from edgeshuffle.converter.frontend import checked
    from edgeshuffle.converter.frontend.torch_module import to_onnx

    resolution = given.resolution
    if resolution is None and loaded.source["stem"] == "cifar":
        resolution = CIFAR_RESOLUTION
    preprocess = make_preprocess(given, loaded.preprocess, resolution, loaded.module.shape.inputs)
    return Source(
        loaded.name,
        checked(to_onnx(loaded.module, preprocess.shape, loaded.module.output_names)),
        TorchReference(loaded.module),
        loaded.classes,
        preprocess,
        loaded.labels,
        loaded.source,
        loaded.notes,
        module=loaded.module,
    )


def _from_onnx(model: OnnxFile, given: InputChoice) -> Source:
    from edgeshuffle.converter.frontend import to_ir
    from edgeshuffle.converter.frontend.logits import drop_probabilities
    from edgeshuffle.converter.frontend.normalisation import take_normalisation
    from edgeshuffle.converter.frontend.onnx_file import read_batch

    dropped: tuple[str, ...] = ()
    proto, batch = read_batch(model.path, given.resolution)
    if model.logits:
        proto, dropped = drop_probabilities(proto, required=model.logits == "auto")
    constants = {tensor.name for tensor in proto.graph.initializer}
    entry = next(value for value in proto.graph.input if value.name not in constants)
    _, channels, *sides = (dim.dim_value for dim in entry.type.tensor_type.shape.dim)
    card = load_card("shufflenet_v2_x1_0").preprocess
    preprocess = make_preprocess(given, card, (sides[0], sides[1]), channels)
    digest = sha256(model.path)
    reference: Reference = OnnxReference(model.path, digest, given.resolution, logits=bool(dropped))
    own, notes = take_normalisation(proto), note(given, preprocess.channels)
    if own is not None:
        proto = own.proto
        reference = BeforeNormalisation(reference, own.mean, own.std)
        preprocess, notes = own_normalisation(given, preprocess, own.mean, own.std)
    return Source(
        model.name,
        to_ir(proto),
        reference,
        {},
        preprocess,
        None,
        {"kind": "onnx", "file": model.path.name, "sha256": digest},
        (
            *notes,
            *((f"logits: left out {', '.join(dropped)} at the end",) if dropped else ()),
        ),
        batch,
    )
