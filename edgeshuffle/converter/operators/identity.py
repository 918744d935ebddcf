"""Identity: the same elements under another name."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.reshape import Reshape

OPERATOR: Final = Reshape()
