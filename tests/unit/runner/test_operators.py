"""What compare and inspect ask the converter's operator table."""

from __future__ import annotations

import pytest

from edgeshuffle.runner.operators import only_moves


@pytest.mark.parametrize("kind", ["Concat", "Split", "Slice", "Gather", "MaxPool", "Reshape"])
def test_operators_that_give_elements_of_their_input(kind):
    assert only_moves(kind)


@pytest.mark.parametrize("kind", ["Conv", "Conv+Relu", "Relu", "Clip", "LeakyRelu", "Erf", ""])
def test_operators_that_compute(kind):
    assert not only_moves(kind)
