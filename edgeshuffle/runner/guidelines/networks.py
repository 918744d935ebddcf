"""A network of the tables as an ONNX graph with seeded weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeshuffle.converter.operators import IR_VERSION, OPSET

if TYPE_CHECKING:
    from edgeshuffle.runner.guidelines.blocks import Block, Conv, Network

INPUT: Final = "input"
OUTPUT: Final = "output"


def to_onnx(network: Network, seed: int) -> onnx.ModelProto:
    """A float32 `input` (1, C, H, W) to an `output` of this shape.

    Weights are normal with a variance that keeps the values' size (He et al., ICCV 2015), biases
    small, all drawn from `seed`.
    """
    graph = _Graph(np.random.default_rng(seed))
    value = INPUT
    for _ in range(network.blocks):
        value = graph.block(value, network.block)
    graph.nodes[-1].output[0] = OUTPUT
    shape = [1, network.block.channels, *network.pixels]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (INPUT, OUTPUT)
    ]
    proto = helper.make_graph(graph.nodes, "guideline", ends[:1], ends[1:], graph.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION)


class _Graph:
    """Nodes and constants in the order of the calls."""

    def __init__(self, random: np.random.Generator) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._random = random

    def block(self, source: str, block: Block) -> str:
        made = []
        for branch in block.branches:
            value = source
            for conv in branch:
                value = self._conv(value, conv, len(block.branches))
            made.append(value)
        total = made[0]
        for other in (*made[1:], *((source,) if block.shortcut else ())):
            total = self._node("Add", total, other)
        return self._node("Relu", total) if block.relu else total

    def _conv(self, source: str, conv: Conv, summands: int) -> str:
        fan_in = conv.kernel**2 * conv.inputs // conv.groups
        deviation = np.sqrt((2 if conv.relu else 1) / fan_in / summands)
        shape = (conv.outputs, conv.inputs // conv.groups, conv.kernel, conv.kernel)
        made = self._node(
            "Conv",
            source,
            self._constant(deviation * self._random.standard_normal(shape)),
            self._constant(0.1 * self._random.standard_normal(conv.outputs)),
            kernel_shape=[conv.kernel] * 2,
            pads=[conv.kernel // 2] * 4,
            group=conv.groups,
        )
        return self._node("Relu", made) if conv.relu else made

    def _constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, inputs, [name], name=f"n{len(self.nodes)}", **attributes)
        )
        return name
