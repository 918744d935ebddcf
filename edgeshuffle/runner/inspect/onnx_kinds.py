"""What a node of an ONNX file is, in the standard's words, and which of its inputs are data.

Runtimes have operators of their own, and those on integers have scales among their inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.runner.operators import known

if TYPE_CHECKING:
    import onnx

# The standard operator, and which inputs are its own: factors first, then a bias.
_STANDARD: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "ConvInteger": ("Conv", (0, 1)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "FusedMatMul": ("MatMul", (0, 1)),
    "MatMulInteger": ("MatMul", (0, 1)),
    "QGemm": ("Gemm", (0, 3, 6)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearConv": ("Conv", (0, 3, 8)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearLeakyRelu": ("LeakyRelu", (0,)),
    "QLinearMatMul": ("MatMul", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearReduceMean": ("ReduceMean", (0,)),
    "QLinearSigmoid": ("Sigmoid", (0,)),
    "QLinearSoftmax": ("Softmax", (0,)),
}
# Of the standard's operators that the converter has none of.
_WEIGHTS: Final = {"ConvTranspose": (1, 2)}
_DATA: Final = {"Concat": slice(None)}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A standard operator and the names of its inputs, empty where one is left out."""

    name: str
    inputs: tuple[str, ...]

    @property
    def data(self) -> tuple[str, ...]:
        """Those whose elements an operator that moves them gives; the others say which and how."""
        return self.inputs[_DATA.get(self.name, slice(1))]

    @property
    def weights(self) -> tuple[str, ...]:
        """Those that hold weights and biases, where they are constant."""
        operator = known(self.name)
        places = _WEIGHTS.get(self.name, ()) if operator is None else operator.weights
        return tuple(self.inputs[place] for place in places if place < len(self.inputs))


def kind_of(node: onnx.NodeProto) -> Kind:
    """A node in the standard's words, or as it is where it is of no known kind."""
    inputs = tuple(node.input)
    if node.op_type == "QLinearConcat":
        return Kind(name="Concat", inputs=inputs[2::3])
    name, places = _STANDARD.get(node.op_type, (node.op_type, range(len(inputs))))
    return Kind(name=name, inputs=tuple(inputs[one] for one in places if one < len(inputs)))
