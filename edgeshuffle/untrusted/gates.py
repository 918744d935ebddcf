"""Gates, the limits that a result has to meet: NaN would pass each of them, so none may be one."""

from __future__ import annotations

import math

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.untrusted import quoted


def check_gate(name: str, limit: float | None, low: float, high: float = math.inf) -> None:
    """Raise UnknownNameError unless a limit, where one is given, is finite and in low..high."""
    # Compared, as an integer may be too large for a float. NaN is in no order.
    if limit is None or (low <= limit <= high and abs(limit) != math.inf):
        return
    span = f"from {low:g}" if math.isfinite(low) else "finite"
    if math.isfinite(high):
        span += f" to {high:g}"
    given = quoted(str(limit), 20)
    raise UnknownNameError(f"{name} {given} is no limit: it must be a number {span}.")
