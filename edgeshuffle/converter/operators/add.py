"""Add: the bias of a MatMul, which becomes a convolution with it."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.operator import Operator

OPERATOR: Final = Operator()
