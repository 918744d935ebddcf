"""BatchNormalization: folded into the convolution before it."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.operator import Operator

OPERATOR: Final = Operator()
