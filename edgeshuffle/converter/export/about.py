"""What the files of an export say of themselves, from what its manifest says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.metadata import Metadata

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.artifact import Precision, Preprocess
    from edgeshuffle.artifact.metadata import Gives

# Numbers from 0 to 1, of all classes together or of each alone.
_PROBABLE: Final = {"Softmax", "Sigmoid", "HardSigmoid"}


@dataclass(frozen=True)
class About:
    """A model's name, preprocessing and class names by index, where these are known."""

    name: str
    preprocess: Preprocess
    labels: tuple[str, ...] | None

    def of(self, model: ir.Model, precision: Precision) -> Metadata:
        """What a file of a graph says; one that reads pixels gives probabilities, if it can."""
        gives = gives_of(model)
        what = f"{len(model.graph.outputs)} outputs"
        if gives != "values":
            what = f"{_elements(model.graph.outputs[0])} classes"
        pixels = precision == "pixels"
        return Metadata(
            name=self.name,
            description=f"{self.name}, {what}, {precision}, made by edgeshuffle",
            preprocess=self.preprocess,
            labels=self.labels or (),
            input="pixels" if pixels else "normalised",
            output="probabilities" if pixels and can_be_probabilities(model) else gives,
        )


def can_be_probabilities(model: ir.Model) -> bool:
    """Whether a graph gives logits, of several classes."""
    return gives_of(model) == "logits" and _elements(model.graph.outputs[0]) > 1


def gives_of(model: ir.Model) -> Gives:
    """What a classifier's output is (`ModelFile.classes`)."""
    first, *others = model.graph.outputs
    if others or not _is_row(first):
        return "values"
    maker = first.producer()
    kind = None if maker is None else maker.op_type
    return "probabilities" if kind in _PROBABLE else "logits"


def _is_row(value: ir.Value) -> bool:
    """Whether an image has one axis of it, of floats."""
    from edgeshuffle.converter import graph as g

    image = g.shape_of(value)[1:]
    return g.is_float(value) and len(image) > 0 and math.prod(image) == max(image)


def _elements(value: ir.Value) -> int:
    from edgeshuffle.converter import graph as g

    return math.prod(g.shape_of(value)[1:])
