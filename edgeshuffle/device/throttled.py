"""A Raspberry Pi's throttle bits."""

from __future__ import annotations

from typing import Final

# By bit of `vcgencmd get_throttled`; 16 bits higher, the same since the board was started.
THROTTLED: Final = (
    "under-voltage; use a stronger power supply",
    "a capped clock; use a stronger power supply or cool it",
    "throttling; cool it",
    "its soft temperature limit; cool it",
)
