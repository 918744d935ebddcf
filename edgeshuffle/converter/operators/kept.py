"""What stays as it is: operators that no room here knows, or that no writer can write.

ONNX files keep them in float, INT8 ones between DequantizeLinear and QuantizeLinear; TFLite files
are not written. A node that is kept though its kind is known is marked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.operator import Operator, Scale

if TYPE_CHECKING:
    import onnxruntime as ort
    import torch

_MARK: Final = "edgeshuffle.kept"


class Kept(Operator):
    """Reads its channels as they are given, and computes floats with ONNX Runtime."""

    scale = Scale.FLOAT

    def check(self, node: ir.Node) -> str | None:
        """The reason that it was kept for."""
        return node.metadata_props.get(_MARK, "is of a kind that is not known here")

    def run(self, node: ir.Node, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Image by image, as the graph has a batch of 1."""
        import torch

        session = _session(node)
        values = [value for _, value in g.data_inputs(node)]
        images = max((len(x) for x in inputs if x.ndim), default=1)
        found = []
        for index in range(images):
            arrays = {
                value.name: (x[index : index + 1] if x.ndim and len(x) == images else x).numpy()
                for value, x in zip(values, inputs, strict=True)
            }
            found.append([torch.from_numpy(y) for y in session.run(None, arrays)])
        return [
            torch.cat(outputs) if images > 1 else outputs[0] for outputs in zip(*found, strict=True)
        ]


def mark(node: ir.Node, reason: str) -> None:
    """Keep a node of a known kind."""
    node.metadata_props[_MARK] = reason


def is_marked(node: ir.Node) -> bool:
    """Whether a node was kept though its kind is known."""
    return _MARK in node.metadata_props


@lru_cache(maxsize=64)
def _session(node: ir.Node) -> ort.InferenceSession:
    import onnxruntime as ort
    from onnx import helper, numpy_helper

    from edgeshuffle.converter.operators import IR_VERSION

    assert node.graph is not None
    constants = [
        numpy_helper.from_array(array, value.name)
        for value in dict.fromkeys(node.inputs)
        if value is not None and (array := g.constant(value)) is not None
    ]
    read = dict.fromkeys(value for _, value in g.data_inputs(node))
    given, made = (
        [helper.make_tensor_value_info(v.name or "", g.type_of(v), None) for v in values]
        for values in (read, node.outputs)
    )
    inside = helper.make_graph([ir.to_proto(node)], "kept", given, made, constants)
    opsets = [helper.make_opsetid(*opset) for opset in node.graph.opset_imports.items()]
    proto = helper.make_model(inside, opset_imports=opsets)
    proto.ir_version = IR_VERSION
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


OPERATOR: Final = Kept()
