"""HardSigmoid: min(max(alpha x + beta, 0), 1).

TFLite has no operator of that name: it is a sixth of ReLU6(6 alpha x + 6 beta), and 6 alpha is 1
in every network that torch exports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter.operators.operator import Channels, Operator, Scale
from edgeshuffle.converter.plan import QMIN, QParams

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from edgeshuffle.converter.emit.nhwc import NhwcWriter

# ONNX's defaults.
_ALPHA: Final = 0.2
_BETA: Final = 0.5
# In steps of 1/255, the gate of 0, which is common, would be a half that runtimes round as they do.
GATE: Final = QParams(float(np.float32(1 / 254)), QMIN)


class HardSigmoid(Operator):
    """Every element alone, from 0 to 1."""

    channels = Channels.CHANNELWISE
    scale = Scale.GIVEN
    never_negative = True

    def grid(self, node: ir.Node) -> QParams:  # noqa: ARG002
        """Both ends are reached."""
        return GATE

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """In float."""
        alpha, beta = _line(node)
        return [(alpha * inputs[0] + beta).clamp(0, 1)]

    def tflite(self, writer: NhwcWriter, node: ir.Node) -> None:
        """ADD with ReLU6, and MUL."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        read, made = writer.alike(source, result)
        write_gate(writer, read, made, result.name or "", writer.parameters(source), _line(node))


def write_gate(
    writer: NhwcWriter,
    read: int,
    made: int,
    name: str,
    params: QParams | None,
    line: tuple[float, float],
) -> None:
    """Write the HardSigmoid of a tensor with these parameters, for alpha and beta."""
    alpha, beta = (6 * number for number in line)
    version = writer.version(2)
    if not np.isclose(alpha, 1):
        if params is not None:
            params = QParams(float(np.float32(params.scale * alpha)), params.zero_point)
        steeper = writer.inner(f"{name}_steeper", writer.shape(read), params)
        factor = writer.constant(f"{name}_alpha", np.array(alpha, np.float32), 0)
        writer.operator("MUL", [read, factor], [steeper], "MulOptions", version=version)
        read = steeper
    grid = None if params is None else QParams(float(np.float32(6 * GATE.scale)), QMIN)
    six = writer.inner(f"{name}_six", writer.shape(read), grid)
    offset = writer.constant(f"{name}_beta", np.array(beta, np.float32), 0)
    writer.operator(
        "ADD",
        [read, offset],
        [six],
        "AddOptions",
        fusedActivationFunction=writer.activation("relu6"),
        version=version,
    )
    sixth = writer.constant(f"{name}_sixth", np.array(1 / 6, np.float32), 0)
    writer.operator("MUL", [six, sixth], [made], "MulOptions", version=version)


def _line(node: ir.Node) -> tuple[float, float]:
    alpha, beta = (node.attributes.get(name) for name in ("alpha", "beta"))
    return (
        _ALPHA if alpha is None else alpha.as_float(),
        _BETA if beta is None else beta.as_float(),
    )


OPERATOR: Final = HardSigmoid()
