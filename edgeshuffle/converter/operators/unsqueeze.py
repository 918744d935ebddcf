"""Unsqueeze: axes of size 1 are added."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.reshape import Reshape

OPERATOR: Final = Reshape()
