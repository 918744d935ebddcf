"""Images by the batches that a model file takes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float32]


def chunks(images: Iterable[Array], size: int) -> Iterator[Array]:
    """Up to `size` (1, C, H, W) images at a time as (n, C, H, W)."""
    rest = iter(images)
    while several := list(itertools.islice(rest, size)):
        yield np.concatenate(several)


def in_batches(run: Callable[[Array], list[Array]], images: Array, batch: int) -> list[Array]:
    """All outputs for (n, C, H, W) images by a model that takes `batch` at a time, joined in their
    first axis.

    The last batch is filled up with its last image; what comes of that is cut off of outputs that
    have one row an image.
    """
    parts = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        count = len(part)
        missing = np.repeat(part[-1:], batch - count, axis=0)
        made = run(np.concatenate([part, missing]) if len(missing) else part)
        parts.append([value[:count] if len(value) == batch else value for value in made])
    return [np.concatenate(values) for values in zip(*parts, strict=True)]
