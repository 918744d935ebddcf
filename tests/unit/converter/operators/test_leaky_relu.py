"""LeakyRelu from a graph with shuffles to both formats: one file and one word brought it all."""

from __future__ import annotations

import pytest
from operator_check import check_operator


@pytest.mark.parametrize("attributes", [{}, {"alpha": 0.1}, {"alpha": 0.3}])
def test_leaky_relu(tmp_path, attributes):
    check_operator(tmp_path, lambda graph, x: graph.add("LeakyRelu", x, **attributes)[0], steps=1)
