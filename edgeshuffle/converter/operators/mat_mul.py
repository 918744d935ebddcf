"""MatMul: a classifier, which becomes a 1x1 convolution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.operators.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.operators.operator import Shape


class MatMul(Operator):
    """A product of two matrices, or of as many as their first axes have."""

    weights = (0, 1)
    multiplies = True

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        """One for each of what is summed up for an output, also where a factor is transposed."""
        left, right = inputs[:2]
        if len(right) == 1 or len(left) == 1:
            depth = (right if len(right) == 1 else left)[0]
        else:
            depth = left[-2] * left[-1] // max(1, output[-2])
        return math.prod(output) * depth


OPERATOR: Final = MatMul()
