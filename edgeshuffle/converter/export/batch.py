"""Files for other batches than one image, for which everything else is worked out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.errors import ModelError, UnknownNameError
from edgeshuffle.untrusted.bounds import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

Batch = int | Literal["dynamic"]
# What a dynamic file is tried with, beside one image.
TRIED: Final = 3


def check_batch(batch: Batch | None, formats: Sequence[str]) -> None:
    """Raise UnknownNameError for a batch that no file of these formats can have."""
    if batch is None:
        return
    if batch == "dynamic":
        others = [name for name in formats if name != "onnx"]
        if others:
            raise UnknownNameError(
                f"`batch=dynamic` is of ONNX files, those of {', '.join(others)} have a fixed "
                "batch: give `formats=onnx`, too, or a number."
            )
    elif not 1 <= batch <= MAX_BATCH:
        raise UnknownNameError(f"`batch={batch}` must be from 1 to {MAX_BATCH}, or dynamic.")


def with_batch(model: ir.Model, batch: int) -> ir.Model:
    """A copy that reads `batch` images at once and whose Reshapes keep whatever batch they read.

    Raises ModelError where a value does not have the image as its first axis.
    """
    import numpy as np

    from edgeshuffle.converter import graph as g
    from edgeshuffle.converter.operators import where

    made = model.clone()
    mixed = []
    for node in made.graph:
        values = [*(value for _, value in g.data_inputs(node)), *node.outputs]
        if any(g.shape_of(value)[:1] != (1,) for value in values):
            mixed.append(where(node))
        elif node.op_type == "Reshape":
            sizes = g.constant(node.inputs[1])
            if sizes is not None:
                kept = np.concatenate([[0], g.shape_of(node.outputs[0])[1:]]).astype(np.int64)
                node.attributes.pop("allowzero", None)
                name = f"{node.outputs[0].name}_kept"
                node.replace_input_with(1, g.new_constant(made.graph, name, kept))
    if mixed:
        raise ModelError(
            f"Only one image at a time can be read, as these mix an image's axis with others: "
            f"{', '.join(mixed[:5])}. Give `batch=1`."
        )
    given = [*made.graph.inputs, *(value for node in made.graph for value in node.outputs)]
    for value in given:
        value.shape = type(value.shape)((batch, *g.shape_of(value)[1:]))  # type: ignore[misc]
    return made


def opened(data: bytes) -> bytes:
    """An ONNX file whose batch is left open."""
    import onnx

    proto = onnx.load_from_string(data)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    made: bytes = proto.SerializeToString(deterministic=True)
    return made
