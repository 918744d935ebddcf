"""ReduceMean: over height and width it becomes GlobalAveragePool."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.operator import Operator

OPERATOR: Final = Operator()
