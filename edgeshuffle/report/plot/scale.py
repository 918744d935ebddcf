"""From values to places on an axis, and the round numbers that stand beside it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
# Values that differ by less than this share of their size are one.
_SAME: Final = 1e-9
_NOTHING: Final = 1e-200
# Steps of more or fewer digits are told by their power of ten.
_DECIMALS: Final = 6


class Scale:
    """The range of an axis that holds some values, linear or logarithmic."""

    def __init__(self, values: Iterable[float], *, log: bool = False, zero: bool = False) -> None:
        found = [*values, *((0.0,) if zero else ())] or [1.0]
        self._log = log
        self.low, self.high = min(found), max(found)
        size = max(abs(self.low), abs(self.high))
        # One value stands in the middle.
        if log and self.high <= self.low * (1 + _SAME):
            self.low, self.high = self.low / 2, self.high * 2
        elif not log and self.high - self.low <= max(_SAME * size, _NOTHING):
            apart = size / 2 if size > _NOTHING else 1.0
            self.low, self.high = self.low - apart, self.high + apart

    def place(self, value: float) -> float:
        """From 0 at the low end to 1 at the high end."""
        low, high = self._moved(self.low), self._moved(self.high)
        return (self._moved(value) - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """At most so many round numbers within the range, `most` at least 2."""
        if self._log:
            return self._decades(most)
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        for step in (power * step for step in (*_STEPS, 20.0)):
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            if last - first < most:
                return [index * step for index in range(first, last + 1)]
        raise AssertionError(self.low, self.high)

    def _decades(self, most: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        found: list[float] = []
        for steps in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
            every = (step * 10.0**power for power in range(first, last + 1) for step in steps)
            found = [tick for tick in every if self.low <= tick <= self.high]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]

    def _moved(self, value: float) -> float:
        return math.log10(value) if self._log else value


def shown_tick(value: float, beside: Iterable[float]) -> str:
    """A round number with as many digits as it takes to tell it from those beside it."""
    ticks = sorted({value, *beside})
    gap = min((b - a for a, b in pairwise(ticks)), default=abs(value) or 1.0)
    last = math.floor(math.log10(gap) + 1e-9)
    if -_DECIMALS <= last <= _DECIMALS:
        return f"{value:,.{max(0, -last)}f}"
    first = math.floor(math.log10(max(map(abs, ticks)) or 1.0))
    return f"{value:.{max(0, first - last)}e}"
