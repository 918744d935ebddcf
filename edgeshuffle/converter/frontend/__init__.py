"""The one door into the graph: a torch module or an .onnx file, simplified and checked."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import ModelError
from edgeshuffle.host.quiet import quiet_stderr
from edgeshuffle.untrusted import quoted
from edgeshuffle.untrusted.bounds import bounded_memory

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir


_SIMPLIFYING_BYTES: Final = 1 << 30


def to_ir(proto: onnx.ModelProto) -> ir.Model:
    """Simplify (constants, identities, static shapes) and check; raises ModelError."""
    return checked(_simplified(proto))


def checked(proto: onnx.ModelProto) -> ir.Model:
    """A model of static shapes, with no node that could be left out; raises ModelError."""
    import onnx_ir as ir
    from onnx_ir.passes.common import LiftConstantsToInitializersPass

    from edgeshuffle.converter.operators import IR_VERSION
    from edgeshuffle.converter.operators.check import check_given

    model: ir.Model = ir.from_proto(proto)
    model.ir_version = IR_VERSION
    model.functions.clear()
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _make_constant_outputs(model.graph)
    check_given(model)
    return model


def _make_constant_outputs(graph: ir.Graph) -> None:
    """Have every output made by a node, also one that is a weight as it is."""
    import onnx_ir as ir

    for place, output in enumerate(graph.outputs):
        if not output.is_initializer() or output.const_value is None:
            continue
        node = ir.node("Constant", [], {"value": output.const_value})
        made = node.outputs[0]
        made.shape, made.type = output.shape, output.type
        name = output.name
        graph.outputs[place] = made
        output.name = f"{name}_weight"
        made.name = name
        graph.insert_before(graph[0], node)


def _simplified(proto: onnx.ModelProto) -> onnx.ModelProto:
    import onnx_ir as ir

    from edgeshuffle.converter.operators.check import check_exported, foreign

    given: ir.Model = ir.from_proto(proto)
    check_exported(given)
    try:
        # Of its rewrites some are wrong, as that of a Pad before a pool that rounds up. Constants
        # and shapes are enough for the passes.
        found = _by_onnxsim(proto, rewrites=True) or _by_onnxsim(proto, rewrites=False)
    except ModelError as err:
        if others := foreign(given):
            raise ModelError(
                f"The model has operators that are not ONNX's own: {others}. Nothing is known of "
                "the shapes that they give. Export it without them."
            ) from err
        raise
    if found is None:
        raise ModelError("The simplified model does not compute what the given one does.")
    return found


def _by_onnxsim(proto: onnx.ModelProto, *, rewrites: bool) -> onnx.ModelProto | None:
    """What onnxsim makes of a model; None where that computes something else.

    Raises ModelError where it makes nothing of it even without `rewrites`.
    """
    import onnxsim

    try:
        # The check reports its progress on stdout. Constants that a model computes of little can
        # be of any size.
        with (
            contextlib.redirect_stdout(io.StringIO()),
            quiet_stderr(),
            bounded_memory(_SIMPLIFYING_BYTES + 8 * proto.ByteSize()),
        ):
            simplified, proven = onnxsim.simplify(
                proto, check_n=1, skip_fuse_bn=True, perform_optimization=rewrites
            )
    except Exception as err:  # onnxsim raises RuntimeError and protobuf types
        if rewrites:
            return None
        raise ModelError(f"The model cannot be simplified ({quoted(str(err), 200)}).") from err
    return simplified if proven else None
