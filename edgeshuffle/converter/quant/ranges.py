"""Each group's range, by a calibrator that sees all its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter.quant.calibrators import CALIBRATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.quant.ties import Group
    from edgeshuffle.host.workers import Workers


class Ranges:
    """An observer (`observe`) with one calibrator a group."""

    def __init__(self, groups: Sequence[Group], calibrator: str) -> None:
        self._sources = [[value.name or "" for value in group.sources] for group in groups]
        self._calibrators = [CALIBRATORS[calibrator].make() for _ in groups]
        self.names = [name for names in self._sources for name in names]

    def prepare(self) -> None:
        """Nothing."""

    def look(self, _: int, __: None, values: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The values of each group."""
        found = [[values[name].reshape(-1) for name in names] for names in self._sources]
        return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in found]

    def add(self, looked: list[np.ndarray], workers: Workers) -> None:
        """See them."""
        workers.all(
            lambda group: self._calibrators[group].update(looked[group]), range(len(looked))
        )

    def found(self) -> list[tuple[float, float]]:
        """One (low, high) real range a group."""
        return [calibrator.range() for calibrator in self._calibrators]
