from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.memory_access import memory_access_cost

sizes = st.integers(1, 2000)


def test_the_papers_equations():
    # A 1x1 convolution of 56x56 pixels from 128 to 128 channels; with 4 groups; depthwise 3x3.
    assert memory_access_cost(read=3136, written=3136, inputs=128, outputs=128) == 819_200
    grouped = memory_access_cost(read=3136, written=3136, inputs=256, outputs=256, groups=4)
    assert grouped == 1_605_632 + 16_384
    depthwise = memory_access_cost(read=3136, written=784, inputs=24, outputs=24, taps=9, groups=24)
    assert depthwise == 24 * (3136 + 784) + 9 * 24


@given(sizes, sizes, sizes)
def test_the_bound_that_guideline_1_follows_from(pixels, inputs, outputs):
    # arXiv:1807.11164, section 3, G1: MAC >= 2 sqrt(hwB) + B/hw, equal where c1 = c2.
    macs = pixels * inputs * outputs
    bound = 2 * math.sqrt(pixels * macs) + macs / pixels
    cost = memory_access_cost(read=pixels, written=pixels, inputs=inputs, outputs=outputs)
    assert cost >= bound * (1 - 1e-12)
    if inputs == outputs:
        assert cost == pytest.approx(bound)


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="4 groups"):
        memory_access_cost(read=1, written=1, inputs=6, outputs=8, groups=4)
