"""BatchNormalization: folded into the convolution before it."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.operator import Operator


class BatchNormalization(Operator):
    """Scale, bias, mean and variance of (C,)."""

    weights = (1, 2, 3, 4)


OPERATOR: Final = BatchNormalization()
