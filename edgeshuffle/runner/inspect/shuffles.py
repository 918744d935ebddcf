"""What a reshape and a transpose do to channels, told by numbering these."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Values to number; larger ones belong to no shuffle of a network for images.
_MOST: Final = 1 << 26


def shuffles_channels(
    shape: Sequence[int], view: Sequence[int], perm: Sequence[int], *, last: bool = False
) -> bool:
    """Whether values of `shape`, read as `view` and transposed by `perm`, are the same channels in
    another order: axis 1, or the last one where `last`.
    """
    count = math.prod(shape)
    if len(shape) != 4 or shape[0] != 1 or not 0 < count <= _MOST or math.prod(view) != count:
        return False
    if sorted(perm) != list(range(len(view))):
        return False
    channels = shape[-1] if last else shape[1]
    numbers = np.arange(channels, dtype=np.int32)
    numbered = np.broadcast_to(numbers if last else numbers[:, None, None], shape)
    rows = numbered.reshape(view).transpose(perm)
    rows = rows.reshape((-1, channels) if last else (channels, -1))
    order: NDArray[np.int32] = rows[0] if last else rows[:, 0]
    whole = (rows == (order if last else order[:, None])).all()
    return bool(whole) and is_order(order.tolist())


def is_order(indices: Sequence[int]) -> bool:
    """Whether indices are all of 0 to n - 1, but not in that order."""
    plain = list(range(len(indices)))
    return list(indices) != plain and sorted(indices) == plain


def takes_apart(parts: Sequence[Sequence[int]]) -> bool:
    """Whether parts hold every channel once, and at least one of them not contiguous ones."""
    together = [index for part in parts for index in part]
    if len(parts) < 2 or sorted(together) != list(range(len(together))):
        return False
    return any(list(part) != list(range(part[0], part[0] + len(part))) for part in parts if part)


def is_permutation(matrix: NDArray[np.floating]) -> bool:
    """Whether a (n, n) matrix only reorders what it multiplies."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        return False
    ones = matrix == 1
    if np.count_nonzero(matrix) != len(matrix) or np.count_nonzero(ones) != len(matrix):
        return False
    return bool((ones.sum(0) == 1).all()) and is_order(ones.argmax(1).tolist())
