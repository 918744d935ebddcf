"""Shapes and element types of an ONNX file's tensors, as far as they can be known."""

from __future__ import annotations

import contextlib
import io
from typing import Final

import onnx
from onnx import shape_inference

from edgeshuffle.host.quiet import quiet_stderr
from edgeshuffle.runner.inspect.onnx_kinds import kind_of
from edgeshuffle.untrusted.bounds import bounded_memory

Shapes = dict[str, tuple[int, ...]]

_SIMPLIFYING_BYTES: Final = 1 << 30
# What the standard's own operators make of integers is known to it.
_INFERRED: Final = {"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}


def infer(model: onnx.ModelProto) -> tuple[Shapes, dict[str, int]]:
    """Of all tensors that have a known one; a free batch is 1.

    Where the file computes shapes as it runs, those of the simplified model are taken.
    """
    double = _standard(model)
    shapes, types = _inferred(double)
    if any(name not in shapes for node in double.graph.node for name in node.output if name):
        simplified = _simplified(double)
        if simplified is not None:
            more, kinds = _inferred(simplified)
            shapes, types = {**more, **shapes}, {**kinds, **types}
    return shapes, types


def _standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with what inference knows: it stops at operators outside the standard."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    for value in double.graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    for node in double.graph.node:
        kind = kind_of(node)
        last = any(a.name == "channels_last" and a.i for a in node.attribute)
        if last or kind.name == node.op_type or node.op_type in _INFERRED:
            continue
        del node.input[:]
        # No shape depends on a bias, which has another type than integers that are multiplied.
        node.input.extend(kind.inputs if kind.name == "Concat" else kind.inputs[:2])
        node.op_type, node.domain = kind.name, ""
    return double


def _inferred(model: onnx.ModelProto) -> tuple[Shapes, dict[str, int]]:
    free = onnx.ModelProto()
    free.CopyFrom(model)
    # What a file says of its outputs may be of another batch.
    for output in free.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(free, data_prop=True).graph
    # A node that it cannot read, as of a domain that the file does not import, ends it.
    except shape_inference.InferenceError:
        inferred = free.graph
    shapes: Shapes = {}
    types: dict[str, int] = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        types[value.name] = tensor.elem_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    for constant in model.graph.initializer:
        shapes[constant.name], types[constant.name] = tuple(constant.dims), constant.data_type
    return shapes, types


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """With constant shapes, as far as onnxsim finds them; None where it cannot."""
    import onnxsim

    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            quiet_stderr(),
            bounded_memory(_SIMPLIFYING_BYTES + 8 * model.ByteSize()),
        ):
            found: onnx.ModelProto = onnxsim.simplify(model, check_n=0, skip_fuse_bn=True)[0]
    # What it cannot simplify is still to be counted; onnxsim has errors of many types.
    except Exception:
        return None
    return found
