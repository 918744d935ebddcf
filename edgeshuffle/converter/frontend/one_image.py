"""A model that reads a fixed number of images at once, as one that reads them one by one.

Every value has the images in one axis, as its outermost part: a value of N images has N m where one
image has m. A Reshape keeps the elements' order, so that the images are in the axis that as many
elements lie before; what a Reshape, an Expand or a Resize is to make is divided there. The shapes
that follow for one image have to be the given ones, each divided in its axis.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from edgeshuffle.errors import ModelError
from edgeshuffle.untrusted import quoted

Shape = tuple[int, ...]

# At which input an operator reads the shape of what it makes.
_TARGETS: Final = {"Reshape": 1, "Expand": 1, "Resize": 3}
_MOST_TOLD: Final = 5


def of_one_image(proto: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy that reads (1, C, H, W) instead of (batch, C, H, W); raises ModelError for a model
    whose values do not have the images in one axis, and outputs in their first.
    """
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    graph = made.graph
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    shapes = _shapes(made)
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    (given,) = [value for value in graph.input if value.name not in constants]
    given.type.tensor_type.shape.dim[0].dim_value = 1
    axes = {given.name: 0}
    odd: dict[str, str] = {}
    for node in graph.node:
        source = next((name for name in node.input if name in axes), None)
        # A shape that is computed as it runs follows the input's.
        if source is None or node.op_type in ("Shape", "Size"):
            continue
        for name in filter(None, node.output):
            axis = _axis(node, shapes.get(source), shapes.get(name), axes[source], batch)
            if axis is None:
                odd[name] = node.op_type
            axes[name] = axis or 0
        place = _TARGETS.get(node.op_type, len(node.input))
        sizes = shapes.get(node.output[0])
        if place < len(node.input) and node.input[place] in constants and sizes is not None:
            target = np.array(_divided(sizes, axes[node.output[0]], batch), np.int64)
            node.input[place] = f"{node.output[0]}_one_image"
            graph.initializer.append(numpy_helper.from_array(target, node.input[place]))
            kept = [one for one in node.attribute if one.name not in ("allowzero", "axes")]
            del node.attribute[:]
            node.attribute.extend(kept)
    alone = {} if odd else _shapes(made)
    for node in graph.node:
        for name in node.output:
            if name in alone and name in shapes and name in axes:
                wanted = _divided(shapes[name], axes[name], batch)
                if alone[name] != wanted:
                    odd[name] = node.op_type
    odd |= {value.name: "output" for value in graph.output if axes.get(value.name, 0)}
    if odd:
        told = [f"{kind} ('{quoted(name, 60)}')" for name, kind in odd.items()]
        raise ModelError(
            f"The model reads {batch} images at once, and these may mix them: "
            f"{', '.join(told[:_MOST_TOLD])}. Export it with batch 1."
        )
    return made


def _axis(
    node: onnx.NodeProto, read: Shape | None, made: Shape | None, axis: int, batch: int
) -> int | None:
    """Where the images are in what the node makes; None where that is nowhere."""
    if read is None or made is None:
        return axis
    if node.op_type == "Transpose":
        perm = next((list(one.ints) for one in node.attribute if one.name == "perm"), None)
        return (perm or list(reversed(range(len(read))))).index(axis)
    if node.op_type == "Gather" and len(made) < len(read):
        picked = next((one.i for one in node.attribute if one.name == "axis"), 0) % len(read)
        return None if picked == axis else axis - (picked < axis)
    if len(read) == len(made) and node.op_type != "Reshape":
        return axis
    before = math.prod(read[:axis])
    for place, size in enumerate(made):
        if math.prod(made[:place]) == before and size % batch == 0:
            return place
    return None


def _divided(shape: Shape, axis: int, batch: int) -> Shape:
    return tuple(size // batch if at == axis else size for at, size in enumerate(shape))


def _shapes(proto: onnx.ModelProto) -> dict[str, Shape]:
    """Those that are known."""
    try:
        inferred = shape_inference.infer_shapes(proto, strict_mode=False, data_prop=True).graph
    # A node that it cannot read ends it; without shapes nothing is divided, and the proof refuses.
    except shape_inference.InferenceError:
        return {}
    found = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            found[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return found
