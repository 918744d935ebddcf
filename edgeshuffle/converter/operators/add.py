"""Add: a residual, or a constant. A constant behind a MatMul becomes a convolution's bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.elementwise import Elementwise

if TYPE_CHECKING:
    import torch


class Add(Elementwise):
    """The sum."""

    homogeneous = True
    builtin = "ADD"
    options = "AddOptions"
    integers = "QLinearAdd"

    def compute(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return one + other


OPERATOR: Final = Add()
