"""Div: by a constant it becomes Mul. TFLite has no integer kernel for two values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.elementwise import Elementwise
from edgeshuffle.converter.operators.operator import Scale

if TYPE_CHECKING:
    import torch


class Div(Elementwise):
    """The quotient."""

    scale = Scale.FLOAT
    builtin = "DIV"
    options = "DivOptions"

    def compute(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The quotient."""
        return one / other


OPERATOR: Final = Div()
