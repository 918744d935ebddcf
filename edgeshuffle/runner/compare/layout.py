"""Tensors of both layouts as channels and pixels."""

from __future__ import annotations

import numpy as np


def by_channel(array: np.ndarray, *, nhwc: bool = False) -> np.ndarray:
    """(C, pixels) of one image's (1, C, H, W), (1, H, W, C) or (1, C) values."""
    channels = array.shape[-1] if nhwc else array.shape[1]
    if nhwc:
        return np.ascontiguousarray(array.reshape(-1, channels).T)
    return array.reshape(channels, -1)
