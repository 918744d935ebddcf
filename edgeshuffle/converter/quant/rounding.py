"""The squared error of rounding real values to steps."""

from __future__ import annotations

from typing import Final

import numpy as np

# Elements, of which some arrays fit into the caches.
_BLOCK: Final = 1 << 17


def squared_error(
    values: np.ndarray, start: np.ndarray | None, step: np.ndarray, low: int, high: int
) -> np.ndarray:
    """Sums (C,) float64 over (C, n) float32 values that are rounded to `start` + k `step`, with k
    from `low` to `high`; `start` (0 for None) and `step` are (C,) or (1,) float32.
    """
    rows = max(1, _BLOCK // values.shape[1])
    sums = np.empty(len(values))
    for first in range(0, len(values), rows):
        some = slice(first, first + rows)
        one = some if len(step) > 1 else slice(None)
        exact = values[some] if start is None else values[some] - start[one, None]
        exact = exact * (np.float32(1) / step[one, None])
        off = np.rint(exact)
        np.clip(off, low, high, out=off)
        off -= exact
        sums[some] = np.vecdot(off, off) * step[one].astype(np.float64) ** 2
    return sums
