"""Gemm: a classifier, which becomes a 1x1 convolution."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.operator import Operator

OPERATOR: Final = Operator()
