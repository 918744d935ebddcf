"""Kinds of operators, as the run time is told apart in Figure 2 of arXiv:1807.11164.

Names of both formats, and of what ONNX Runtime makes of its own. What a convolution is, its sizes
say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgeshuffle.memory_access import memory_access_cost

FIRST_CONV: Final = "first conv"
POINTWISE: Final = "1x1 conv"
DEPTHWISE: Final = "depthwise conv"
CONV: Final = "other conv"
FULLY_CONNECTED: Final = "fully connected"
POOLING: Final = "pooling"
ELEMENT_WISE: Final = "element-wise"
MOVEMENT: Final = "data movement"
SHUFFLE: Final = "channel shuffle"
CONVERSION: Final = "format, layout"
OTHER: Final = "other"
# No operator: what the runtime does besides.
OUTSIDE: Final = "outside operators"

KINDS: Final = (
    *(FIRST_CONV, POINTWISE, DEPTHWISE, CONV, FULLY_CONNECTED, POOLING, ELEMENT_WISE),
    *(MOVEMENT, SHUFFLE, CONVERSION, OTHER, OUTSIDE),
)

_CONVS: Final = {
    *("Conv", "FusedConv", "NhwcFusedConv", "QLinearConv", "ConvInteger"),
    *("CONV_2D", "DEPTHWISE_CONV_2D"),
}
_OTHERS: Final = {
    CONV: {"ConvTranspose", "TRANSPOSE_CONV", "CONV_3D", "QLinearConvTranspose"},
    FULLY_CONNECTED: {
        *("Gemm", "FusedGemm", "MatMul", "FusedMatMul", "QGemm", "QLinearMatMul"),
        *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
        *("FULLY_CONNECTED", "BATCH_MATMUL"),
    },
    POOLING: {
        *("MaxPool", "NhwcMaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
        *("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearReduceMean", "ReduceMean"),
        *("MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "ReduceMax", "REDUCE_MAX"),
    },
    ELEMENT_WISE: {
        *("Add", "Sub", "Mul", "Div", "Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Sigmoid"),
        *("HardSigmoid", "Softmax", "LogSoftmax", "BatchNormalization", "Tanh", "Sum", "Min"),
        *("Max", "Pow", "Sqrt", "Exp", "QuickGelu", "QLinearAdd", "QLinearMul", "QLinearLeakyRelu"),
        *("QLinearSigmoid", "QLinearSoftmax", "Silu", "Swish"),
        *("ADD", "SUB", "MUL", "DIV", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU"),
        *("HARD_SWISH", "LOGISTIC", "SOFTMAX", "LOG_SOFTMAX", "TANH", "MINIMUM", "MAXIMUM"),
    },
    MOVEMENT: {
        *("Concat", "QLinearConcat", "Split", "Slice", "Gather", "Transpose", "Reshape", "Pad"),
        *("Squeeze", "Unsqueeze", "Flatten", "Identity", "Expand", "Tile", "DepthToSpace"),
        *("SpaceToDepth", "Resize", "Upsample"),
        *("CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER", "GATHER_ND"),
        *("TRANSPOSE", "RESHAPE", "PAD", "PADV2", "MIRROR_PAD", "PACK", "UNPACK", "SQUEEZE"),
        *("EXPAND_DIMS", "TILE", "BROADCAST_TO", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
    },
    CONVERSION: {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast"),
        *("ReorderInput", "ReorderOutput", "QUANTIZE", "DEQUANTIZE", "CAST"),
    },
}
_KIND_OF: Final = {op: kind for kind, ops in _OTHERS.items() for op in ops}
# Runtimes let these share their input's memory.
VIEWS: Final = {
    *("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"),
    *("RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
}


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """Sizes of a convolution or fully connected layer.

    `read` and `written` are pixels of an image, of which an inference takes `batch`, `inputs` and
    `outputs` channels, `taps` pixels of the kernel.
    """

    batch: int
    read: int
    written: int
    inputs: int
    outputs: int
    taps: int
    groups: int

    @classmethod
    def fully_connected(cls, batch: int, inputs: int, outputs: int) -> Convolution:
        """The sizes of a layer without pixels, of (batch, inputs) to (batch, outputs)."""
        return cls(batch=batch, read=1, written=1, inputs=inputs, outputs=outputs, taps=1, groups=1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates an inference."""
        return self.batch * self.written * self.taps * self.inputs * self.outputs // self.groups

    @property
    def accesses(self) -> int:
        """Memory access cost of an inference, in elements."""
        return memory_access_cost(
            read=self.batch * self.read,
            written=self.batch * self.written,
            inputs=self.inputs,
            outputs=self.outputs,
            taps=self.taps,
            groups=self.groups,
        )

    def kind(self, *, first: bool) -> str:
        """What it counts as; `first` is the one that reads the image."""
        if self.groups > 1 and self.groups == self.inputs:
            return DEPTHWISE
        if self.read == self.written == self.taps == 1:
            return FULLY_CONNECTED
        if first:
            return FIRST_CONV
        return POINTWISE if self.taps == 1 else CONV


def is_conv(op: str) -> bool:
    """Whether its sizes say what it is."""
    return op in _CONVS


def kind_of(op: str) -> str:
    """Of an operator whose sizes are not known, or say nothing."""
    return CONV if op in _CONVS else _KIND_OF.get(op, OTHER)
