"""Sub: one value less another. ONNX Runtime has no integer operator for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.elementwise import Elementwise

if TYPE_CHECKING:
    import torch


class Sub(Elementwise):
    """The difference."""

    homogeneous = True
    builtin = "SUB"
    options = "SubOptions"

    def compute(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The difference."""
        return one - other


OPERATOR: Final = Sub()
