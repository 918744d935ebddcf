"""Weights that make up for the quantization error of a layer's inputs.

A layer W of the quantized network reads x + e where that of the float network reads x. A part of e
follows from x + e: what a clipped peak lost, what rounded weights before it changed, and what other
channels tell of the same place. So the weights that come nearest to W x are not W, but

    W (1 - Cov(e, x + e) (Cov(x + e, x + e) + strength)^-1)

which is ridge regression for AdaRound's asymmetric reconstruction (Nagel et al., arXiv:2004.10568,
section 3). Few images would teach more than is there: the strength, or leaving the weights as they
are, is chosen by what images that were left out gain, less a standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from edgeshuffle.converter.quant.layer import FOLDS, Moments

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.layer import LayerProblem

# Shares of the inputs' mean variance.
STRENGTHS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_TINY: Final = 1e-8


def compensated(layer: LayerProblem) -> torch.Tensor:
    """Real weights (O, K) float64 in steps: the layer's own where nothing is to be gained."""
    if layer.images < FOLDS:
        return layer.real
    parts = layer.folds
    whole = Moments(*(torch.stack(sums).sum(0) for sums in zip(*parts, strict=True)))
    gains = torch.tensor(layer.workers.all(lambda part: gains_of(whole, part), parts))
    sure = gains.mean(0) - gains.std(0) / FOLDS**0.5
    best = int(sure.argmax())
    if not sure[best] > 0:
        return layer.real
    return layer.real + _regression(whole, STRENGTHS[best]).reshape(layer.real.shape)


def damped(covariance: torch.Tensor, share: float) -> torch.Tensor:
    """(G, K, K) with a share of its mean diagonal added to the diagonal: it can be inverted."""
    added = _ridge(covariance, share)
    return covariance + added[:, None, None] * torch.eye(covariance.shape[-1]).double()


def _ridge(covariance: torch.Tensor, share: float) -> torch.Tensor:
    """That share (G,)."""
    return share * covariance.diagonal(dim1=-2, dim2=-1).mean(-1) + _TINY


def gains_of(whole: Moments, part: Moments) -> list[float]:
    """By how much the squared error of the outputs at a part's places falls with each strength,
    learnt from the others.

    With H = Q diag(e) Q^T and L of the others, what is added is A = L Q diag(d) Q^T for
    d = 1 / (e + strength). Of the part's H' and L', the gain is 2 <A, L'> - <A, A H'>, which is

        2 <d, diag((L Q)^T L' Q)> - d^T ((L Q)^T L Q * Q^T H' Q) d

    so one decomposition serves all strengths.
    """
    rest = Moments(whole.inputs - part.inputs, whole.lost - part.lost)
    values, vectors = torch.linalg.eigh(rest.inputs)
    learnt, there = rest.lost @ vectors, part.lost @ vectors
    told = (learnt * there).sum(1)
    spent = (learnt.mT @ learnt) * (vectors.mT @ part.inputs @ vectors)
    found = []
    for strength in STRENGTHS:
        shrunk = 1 / (values + _ridge(rest.inputs, strength)[:, None])
        cost = (shrunk[:, None] @ spent)[:, 0] * shrunk
        found.append(float((2 * told * shrunk - cost).sum()))
    return found


def _regression(moments: Moments, strength: float) -> torch.Tensor:
    """What to add to the weights (G, O / G, K)."""
    factor = torch.linalg.cholesky(damped(moments.inputs, strength))
    return torch.cholesky_solve(moments.lost.transpose(1, 2), factor).transpose(1, 2)
