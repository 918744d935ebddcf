"""What quantization decided, in the terms of the TFLite 8-bit quantization specification.

Activations are int8 asymmetric per tensor, real = (q - zero_point) * scale. Weights are int8
symmetric per output channel. A bias is int32 with scale = input scale * weight scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

QMIN: Final = -128
QMAX: Final = 127


@dataclass(frozen=True)
class QParams:
    """Scale (a float32 value) and zero point of an int8 tensor."""

    scale: float
    zero_point: int

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """Round half to even and saturate, as ONNX QuantizeLinear does."""
        steps = np.rint(real.astype(np.float32) / np.float32(self.scale)) + self.zero_point
        clipped: np.ndarray = np.clip(steps, QMIN, QMAX)
        return clipped.astype(np.int8)

    def dequantize(self, quantized: np.ndarray) -> np.ndarray:
        """Float32 values of int8 ones."""
        steps = quantized.astype(np.int32) - self.zero_point
        return steps.astype(np.float32) * np.float32(self.scale)


def params_of_range(low: float, high: float) -> QParams:
    """The int8 parameters that cover [low, high] and represent 0 exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / (QMAX - QMIN))
    if not scale > np.finfo(np.float32).tiny:
        return QParams(1.0, QMIN)
    zero_point = int(np.clip(np.rint(QMIN - low / float(scale)), QMIN, QMAX))
    return QParams(float(scale), zero_point)


@dataclass(frozen=True)
class QConv:
    """Integer weights of one convolution.

    Shapes: `weight` (O, I, kH, kW) int8, `scales` (O,) float32, `bias` (O,) int32,
    `bias_scales` (O,) float32. `unrounded` ones give their sums as floats, not as 8 bits.
    """

    weight: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    bias_scales: np.ndarray
    unrounded: bool = False


@dataclass(frozen=True)
class QuantPlan:
    """Parameters of every activation by value name, and of convolutions by their outputs' names.

    Convolutions that are not there stay floats. Where an operator that only moves elements reads
    other parameters than it gives, its input is requantized.
    """

    activations: Mapping[str, QParams]
    convs: Mapping[str, QConv]

    def only(self, names: Iterable[str]) -> QuantPlan:
        """The plan in which no other convolutions than these are quantized."""
        kept = set(names)
        return QuantPlan(
            self.activations, {name: conv for name, conv in self.convs.items() if name in kept}
        )
