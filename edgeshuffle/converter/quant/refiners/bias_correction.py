"""Bias correction: quantization must not move the mean of any output channel.

Each bias is set so that the convolution's mean output over the calibration images, of the quantized
network so far, is the float network's (Nagel et al., arXiv:1906.04721, section 4.2, empirical).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.quant.reconstruction import reconstruct

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.builder import PlanBuilder

STAGE: Final = "correct biases"


def refine(builder: PlanBuilder) -> None:
    """Choose every bias of the plan anew."""
    builder.planned = reconstruct(builder, lambda layer: layer.steps)
