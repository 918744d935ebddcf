"""Values that a lowered file computes in parts, under the parts' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeshuffle.converter.plan import QParams
    from edgeshuffle.runner.compare import LayerOutputs


class WithWholes:
    """Layer outputs of a file, and values of which it has all parts: channels in this order."""

    def __init__(self, run: LayerOutputs, parts: Mapping[str, Sequence[str]]) -> None:
        self._run = run
        self._parts = {
            whole: names
            for whole, names in parts.items()
            if whole not in run.params and all(name in run.params for name in names)
        }
        wholes = {whole: run.params[names[0]] for whole, names in self._parts.items()}
        self.params: dict[str, QParams | None] = {**run.params, **wholes}

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Values (C, pixels) by name."""
        found = self._run(images)
        for whole, names in self._parts.items():
            found[whole] = np.concatenate([found[name] for name in names])
        return found
