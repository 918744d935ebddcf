"""Gemm: a classifier, which becomes a 1x1 convolution."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.mat_mul import MatMul


class Gemm(MatMul):
    """A product of two matrices, and a bias."""

    weights = (1, 2)


OPERATOR: Final = Gemm()
