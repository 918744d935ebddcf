"""The fewest RESHAPE and TRANSPOSE that bring the elements of a tensor into another order.

An order is the flat array of the source's element numbers. What any chain of reshapes and
transpositions of whole axes gives is a nest of loops, each with a size and a stride; the
transposition then has one axis a loop, mostly fewer than the values between had.
"""

from __future__ import annotations

import math
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Step(NamedTuple):
    """A TRANSPOSE by `perm`, or a RESHAPE without one, and the shape that it gives."""

    shape: tuple[int, ...]
    perm: tuple[int, ...] | None = None


def rearrangement(
    before: Sequence[int], after: Sequence[int], order: np.ndarray
) -> list[Step] | None:
    """Steps from a tensor of shape `before` to one of shape `after`; None where no nest does it."""
    source, result, flat = tuple(before), tuple(after), order.reshape(-1)
    if (flat == np.arange(len(flat))).all():
        return _reshaped(source, result)
    found = loops(flat)
    if found is None:
        return None
    outer = sorted(found, key=lambda loop: -loop[1])
    ways = [
        [*_reshaped(source, shape), Step(turned, perm), *_reshaped(turned, result)]
        for shape, perm, turned in (
            *_transpositions(source, flat),
            *_transpositions_to(result, flat),
            _turned([size for size, _ in outer], [outer.index(loop) for loop in found]),
        )
    ]
    return min(ways, key=len)


def loops(flat: np.ndarray) -> list[tuple[int, int]] | None:
    """Sizes and strides of the nest, outermost first, whose numbers these are."""
    found: list[tuple[int, int]] = []
    rest = flat
    while len(rest) > 1:
        stride = int(rest[1] - rest[0])
        differs = np.flatnonzero(np.diff(rest) != stride)
        size = int(differs[0]) + 1 if len(differs) else len(rest)
        if len(rest) % size:
            return None
        rows = rest.reshape(-1, size)
        if (rows != rows[:, :1] + np.arange(size) * stride).any():
            return None
        found.insert(0, (size, stride))
        rest = rows[:, 0]
    # Each number once: the strides are the products of the sizes of smaller ones.
    below = 1
    for size, stride in sorted(found, key=lambda loop: loop[1]):
        if stride != below:
            return None
        below *= size
    return found


def _reshaped(before: tuple[int, ...], after: tuple[int, ...]) -> list[Step]:
    return [] if before == after else [Step(after)]


def _turned(
    shape: Sequence[int], perm: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    return tuple(shape), tuple(perm), tuple(shape[axis] for axis in perm)


_Turn = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _transpositions(shape: tuple[int, ...], flat: np.ndarray) -> Iterator[_Turn]:
    """Those of the source's own axes that give the order."""
    if len(shape) > 4:
        return
    numbers = np.arange(len(flat)).reshape(shape)
    for perm in permutations(range(len(shape))):
        turned = numbers.transpose(perm)
        if turned.reshape(-1)[1] == flat[1] and (turned.reshape(-1) == flat).all():
            yield _turned(shape, perm)
            return


def _transpositions_to(result: tuple[int, ...], flat: np.ndarray) -> Iterator[_Turn]:
    """Those that give the result's own axes."""
    if len(result) > 4 or math.prod(result) != len(flat):
        return
    numbers = flat.reshape(result)
    for perm in permutations(range(len(result))):
        turned = numbers.transpose(perm)
        if turned.reshape(-1)[1] == 1 and (turned.reshape(-1) == np.arange(len(flat))).all():
            yield _turned(turned.shape, np.argsort(perm).tolist())
            return
