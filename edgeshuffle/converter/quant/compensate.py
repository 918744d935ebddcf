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

from typing import TYPE_CHECKING, Final, NamedTuple

import torch

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.reconstruction import LayerProblem

_FOLDS: Final = 4
# Shares of the inputs' mean variance.
_STRENGTHS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_TINY: Final = 1e-8


class _Moments(NamedTuple):
    """Sums over places: of inputs by inputs (G, K, K), of lost outputs by inputs (G, O / G, K)."""

    inputs: torch.Tensor
    lost: torch.Tensor


def compensated(layer: LayerProblem) -> torch.Tensor:
    """Real weights (O, K) float64 in steps: the layer's own where nothing is to be gained."""
    if layer.images < _FOLDS:
        return layer.real
    parts = [_moments(layer, fold) for fold in range(_FOLDS)]
    whole = _Moments(*(torch.stack(sums).sum(0) for sums in zip(*parts, strict=True)))
    rests = [_Moments(*(a - b for a, b in zip(whole, part, strict=True))) for part in parts]
    best, surest = None, 0.0
    for strength in _STRENGTHS:
        gains = torch.tensor(
            [
                _gain(part, _regression(rest, strength))
                for part, rest in zip(parts, rests, strict=True)
            ]
        )
        sure = float(gains.mean() - gains.std() / _FOLDS**0.5)
        if sure > surest:
            best, surest = strength, sure
    if best is None:
        return layer.real
    return layer.real + _regression(whole, best).reshape(layer.real.shape)


def damped(covariance: torch.Tensor, share: float) -> torch.Tensor:
    """(G, K, K) with a share of its mean diagonal added to the diagonal: it can be inverted."""
    mean = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)
    size = covariance.shape[-1]
    return covariance + (share * mean + _TINY)[:, None, None] * torch.eye(size).double()


def _moments(layer: LayerProblem, fold: int) -> _Moments:
    """Of every fourth image, from the `fold`-th on."""
    groups, size = layer.groups, layer.real.shape[1]
    read, real = (
        (
            columns.reshape(len(columns), layer.images, -1)[:, fold::_FOLDS].flatten(1)
            - columns.mean(1)[:, None]
        ).reshape(groups, size, -1)
        for columns in (layer.columns, layer.float_columns)
    )
    lost = real.sub_(read)
    turned = read.transpose(1, 2)
    rows = layer.real.reshape(groups, -1, size)
    return _Moments((read @ turned).double(), rows @ (lost @ turned).double())


def _regression(moments: _Moments, strength: float) -> torch.Tensor:
    """What to add to the weights (G, O / G, K)."""
    added: torch.Tensor = torch.linalg.solve(
        damped(moments.inputs, strength), moments.lost, left=False
    )
    return added


def _gain(moments: _Moments, added: torch.Tensor) -> float:
    """By how much the squared error of the outputs at these places falls."""
    return float((added * (2 * moments.lost - added @ moments.inputs)).sum())
