"""Flatten: all axes from one on become one."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.reshape import Reshape

OPERATOR: Final = Reshape()
