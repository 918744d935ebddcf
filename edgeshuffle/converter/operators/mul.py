"""Mul: a squeeze-excite gate of (1, C, 1, 1), x sigmoid(x), or a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.elementwise import Elementwise

if TYPE_CHECKING:
    import torch


class Mul(Elementwise):
    """The product."""

    builtin = "MUL"
    options = "MulOptions"
    integers = "QLinearMul"

    def compute(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The product."""
        return one * other


OPERATOR: Final = Mul()
