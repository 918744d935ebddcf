"""Any chain of reshapes and transpositions, in the fewest operators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.converter.emit.rearrange import rearrangement


def followed(numbers, steps):
    for shape, perm in steps:
        numbers = numbers.reshape(shape) if perm is None else numbers.transpose(perm)
        assert numbers.shape == shape
    return numbers


@st.composite
def chains(draw):
    """A shape, and arrays of its numbers after reshapes to regrouped axes and transpositions."""
    axes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    axes = draw(st.permutations(axes))
    ends = sorted(draw(st.sets(st.integers(1, len(axes)), max_size=3)) | {len(axes)})
    starts = [0, *ends[:-1]]
    before = tuple(int(np.prod(axes[a:b])) for a, b in zip(starts, ends, strict=True))
    turned = (
        np.arange(np.prod(axes)).reshape(axes).transpose(draw(st.permutations(range(len(axes)))))
    )
    middle = draw(st.integers(0, turned.ndim))
    rows = int(np.prod(turned.shape[:middle]))
    return before, turned, turned.reshape(rows, -1)


@given(chains())
def test_the_steps_lead_there(chain):
    before, *results = chain
    for result in results:
        steps = rearrangement(before, result.shape, result)
        found = followed(np.arange(result.size).reshape(before), steps)
        assert (found == result).all()
        assert sum(perm is not None for _, perm in steps) <= 1
        assert len(steps) <= 3


@pytest.mark.parametrize(
    ("before", "shape", "perm", "after", "count"),
    [
        # A detector's rows of NHWC pixels; a classifier's features in ONNX's order; a shuffle.
        ((1, 4, 5, 6), (1, 20, 6), (0, 1, 2), (1, 20, 6), 1),
        ((1, 4, 5, 6), (1, 4, 5, 6), (0, 3, 1, 2), (1, 120), 2),
        ((1, 4, 5, 6), (20, 2, 3), (0, 2, 1), (1, 4, 5, 6), 3),
        ((2, 3), (2, 3), (0, 1), (2, 3), 0),
    ],
)
def test_no_more_than_needed(before, shape, perm, after, count):
    result = np.arange(np.prod(before)).reshape(shape).transpose(perm).reshape(after)
    steps = rearrangement(before, after, result)
    assert len(steps) == count
    assert (followed(np.arange(result.size).reshape(before), steps) == result).all()


@pytest.mark.parametrize("order", [[0, 2, 1, 3, 4, 5], [0, 1, 3, 2], [1, 0, 3, 2], [0, 0, 1, 1]])
def test_what_is_no_nest_of_loops_has_no_steps(order):
    assert rearrangement((len(order),), (len(order),), np.array(order)) is None
