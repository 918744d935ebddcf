"""The one door into the graph: a torch module or an .onnx file, simplified and checked."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir


def to_ir(proto: onnx.ModelProto) -> ir.Model:
    """Simplify (constants, identities, static shapes) and check; raises ModelError."""
    import onnx_ir as ir  # noqa: PLC0415
    import onnxsim  # noqa: PLC0415
    from onnx_ir.passes.common import LiftConstantsToInitializersPass  # noqa: PLC0415

    from edgeshuffle.operators import IR_VERSION, check_known  # noqa: PLC0415

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the check reports its progress there
            simplified, proven = onnxsim.simplify(proto, check_n=1, skip_fuse_bn=True)
    except Exception as err:  # onnxsim raises RuntimeError and protobuf types
        raise ModelError(
            f"The model cannot be simplified ({' '.join(str(err).split())[:200]})."
        ) from err
    if not proven:
        raise ModelError("The simplified model does not compute what the given one does.")
    model: ir.Model = ir.from_proto(simplified)
    model.ir_version = IR_VERSION
    model.functions.clear()
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    check_known(model)
    return model
