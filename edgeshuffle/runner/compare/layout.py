"""Tensors of both layouts as channels and pixels."""

from __future__ import annotations

import numpy as np


def by_channel(array: np.ndarray, *, nhwc: bool = False) -> np.ndarray:
    """(C, pixels of all images) of (N, C, ...) values; of (N, H, W, C) ones where `nhwc`, which is
    for values of rank 4 only.
    """
    if array.ndim < 2:
        return array.reshape(1, -1)
    axis = 3 if nhwc and array.ndim == 4 else 1
    return np.ascontiguousarray(np.moveaxis(array, axis, 0)).reshape(array.shape[axis], -1)
