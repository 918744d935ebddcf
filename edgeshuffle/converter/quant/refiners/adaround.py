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

import numpy as np
import torch

from edgeshuffle.converter.plan import QMAX
from edgeshuffle.converter.quant.compensate import compensated, damped
from edgeshuffle.converter.quant.reconstruction import reconstruct

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.builder import PlanBuilder
    from edgeshuffle.converter.quant.layer import LayerProblem

STAGE: Final = "round weights"
_DAMPING: Final = 0.01
_SWEEPS: Final = 4
_BLOCK: Final = 32


def refine(builder: PlanBuilder) -> None:
    """Choose every weight and bias of the plan anew."""
    builder.planned = reconstruct(builder, round_by_data)


def round_by_data(layer: LayerProblem) -> torch.Tensor:
    """Steps (O, K) float64 for real weights in steps, of a dense or depthwise layer."""
    real = compensated(layer)
    covariance = damped(layer.covariance(), _DAMPING)
    return descend(real, covariance, _by_columns(real, covariance))


def _by_columns(real: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Round column by column; `covariance` is (1, K, K) for all rows, or (O, K, K).

    What a column leaves to those far behind it is told to them a block at a time.
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    factor = torch.linalg.cholesky(inverse, upper=True).numpy()
    left, errors = real.numpy().copy(), np.empty(real.shape)
    steps = np.empty(real.shape)
    count = left.shape[1]
    for first in range(0, count, _BLOCK):
        end = min(first + _BLOCK, count)
        for column in range(first, end):
            steps[:, column] = np.clip(np.rint(left[:, column]), -QMAX, QMAX)
            errors[:, column] = (left[:, column] - steps[:, column]) / factor[:, column, column]
            behind = slice(column + 1, end)
            left[:, behind] -= errors[:, column, None] * factor[:, column, behind]
        left[:, end:] -= (errors[:, None, first:end] @ factor[:, first:end, end:])[:, 0]
    return torch.from_numpy(steps)


def descend(real: torch.Tensor, covariance: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Change single weights by whole steps as long as that lowers the error."""
    found, each = steps.numpy().copy(), covariance.numpy()
    alone = len(each) > 1
    off = (steps - real)[:, None] if alone else (steps - real)[None]
    gradient = (off @ covariance).numpy().reshape(found.shape)
    for _ in range(_SWEEPS):
        settled = True
        for column in range(found.shape[1]):
            wanted = found[:, column] - gradient[:, column] / each[:, column, column]
            change = np.clip(np.rint(wanted), -QMAX, QMAX) - found[:, column]
            rows = np.flatnonzero(change)
            if rows.size:
                settled = False
                found[rows, column] += change[rows]
                slopes = each[rows, column] if alone else each[:, column]
                gradient[rows] += change[rows, None] * slopes
        if settled:
            break
    return torch.from_numpy(found)
