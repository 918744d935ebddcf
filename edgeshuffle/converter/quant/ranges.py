"""Each group's range, by a calibrator that sees its values."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.converter.quant.calibrators import CALIBRATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.quant.ties import Group


# Of each group, counted by calibrators that count, over all images.
_COUNTED: Final = 1 << 22


class Ranges:
    """An observer (`observe`) of `count` images with one calibrator a group."""

    def __init__(self, groups: Sequence[Group], calibrator: str, count: int) -> None:
        self._most = -(-_COUNTED // count)
        self._sources = [[value.name or "" for value in group.sources] for group in groups]
        self._calibrators = [CALIBRATORS[calibrator].make() for _ in groups]
        self.names = [name for names in self._sources for name in names]

    def prepare(self) -> None:
        """Nothing."""

    def look(
        self, index: int, _: None, values: dict[str, np.ndarray]
    ) -> list[tuple[np.ndarray, slice]]:
        """The values of each group, and which of them are counted: every k-th, with another first
        one in each image. As k divides no map's size, those of an image are from all its places.
        """
        found = [[values[name].reshape(-1) for name in names] for names in self._sources]
        whole = [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in found]
        steps = [_coprime(-(-array.size // self._most), array.size) for array in whole]
        return [
            (array, slice(index % step, None, step))
            for array, step in zip(whole, steps, strict=True)
        ]

    def add(self, looked: list[tuple[np.ndarray, slice]]) -> None:
        """See them."""
        for calibrator, seen in zip(self._calibrators, looked, strict=True):
            calibrator.update(*seen)

    def found(self) -> list[tuple[float, float]]:
        """One (low, high) real range a group."""
        return [calibrator.range() for calibrator in self._calibrators]


def _coprime(least: int, size: int) -> int:
    """The next number that has no divisor in common with `size`."""
    return next(number for number in itertools.count(least) if math.gcd(number, size) == 1)
