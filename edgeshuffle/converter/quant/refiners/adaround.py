"""Round each weight up or down by what that does to the layer's output, not to the weight.

For a layer with inputs x, the error of rounded weights V in steps is (V - R) H (V - R)^T per output
channel, where R are real weights in steps and H the covariance of the inputs: the quadratic
problem of AdaRound (Nagel et al., arXiv:2004.10568, section 3). It is solved here without
gradients, so the same images give the same weights: a first solution rounds column by column and
lets the columns that follow make up for the error (Frantar et al., arXiv:2210.17323, section 3),
then single weights are changed as long as the error falls. Inputs are those of the quantized
network so far, R makes up for their quantization error, and each bias is set so that the output's
mean is the float network's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from edgeshuffle.converter.plan import QMAX
from edgeshuffle.converter.quant.compensate import compensated, damped
from edgeshuffle.converter.quant.reconstruction import LayerProblem, reconstruct

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.builder import PlanBuilder

_DAMPING: Final = 0.01
_SWEEPS: Final = 4


def refine(builder: PlanBuilder) -> None:
    """Choose every weight and bias of the plan anew."""
    builder.planned = reconstruct(builder, "round weights", round_by_data)


def round_by_data(layer: LayerProblem) -> torch.Tensor:
    """Steps (O, K) float64 for real weights in steps, of a dense or depthwise layer."""
    real = compensated(layer)
    covariance = damped(layer.covariance(), _DAMPING)
    return descend(real, covariance, _by_columns(real, covariance))


def _by_columns(real: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Round column by column; `covariance` is (1, K, K) for all rows, or (O, K, K)."""
    left, steps = real.clone(), torch.zeros_like(real)
    factor = torch.linalg.cholesky(torch.linalg.inv(covariance), upper=True)
    for column in range(real.shape[1]):
        steps[:, column] = left[:, column].round().clamp(-QMAX, QMAX)
        error = (left[:, column] - steps[:, column]) / factor[:, column, column]
        left[:, column + 1 :] -= error[:, None] * factor[:, column, column + 1 :]
    return steps


def descend(real: torch.Tensor, covariance: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Change single weights by whole steps as long as that lowers the error."""
    steps = steps.clone()
    gradient = torch.einsum("ok,okl->ol", steps - real, covariance.expand(len(real), -1, -1))
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    for _ in range(_SWEEPS):
        before = steps.clone()
        for column in range(real.shape[1]):
            wanted = steps[:, column] - gradient[:, column] / diagonal[:, column]
            change = wanted.round().clamp(-QMAX, QMAX) - steps[:, column]
            steps[:, column] += change
            gradient += change[:, None] * covariance[:, column]
        if torch.equal(before, steps):
            break
    return steps
