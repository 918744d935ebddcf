"""Limits that a result has to meet: NaN would pass each of them, so none may be one."""

from __future__ import annotations

import math

from edgeshuffle.errors import UnknownNameError


def check_limit(name: str, limit: float | None, low: float, high: float = math.inf) -> None:
    """Raise UnknownNameError unless a limit, where one is given, is finite and in low..high."""
    if limit is None or (math.isfinite(limit) and low <= limit <= high):
        return
    span = f"from {low:g}" if math.isfinite(low) else "finite"
    if math.isfinite(high):
        span += f" to {high:g}"
    raise UnknownNameError(f"{name} {limit:g} is no limit: it must be a number {span}.")
