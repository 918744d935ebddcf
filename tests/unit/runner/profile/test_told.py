"""Names of the profiler and of the graph."""

from __future__ import annotations

import pytest
from onnx import helper

from edgeshuffle.device.replies import OperatorTime
from edgeshuffle.runner.profile.told import NAME, by_node


def node(op, name=""):
    return helper.make_node(op, ["x"], ["y"], name=name)


def told(name, order=0, ns=1):
    return OperatorTime(name=name, op="Conv", ns=ns, order=order)


def test_nodes_are_found_by_their_names():
    long = "n" * (2 * NAME)
    found = by_node([node("Conv", "a\0b"), node("Relu", long)], [told(long[:NAME]), told("a b", 1)])
    assert [one.name for one in found] == ["a b", "n" * NAME]


def test_nodes_without_names_are_found_by_their_order():
    nodes = [node("Conv"), node("Relu", "Conv_9"), node("Conv")]
    given = [told("Conv_7", 2), told("Conv_9", 1), told("Conv_30", 0)]
    assert [one.name for one in by_node(nodes, given)] == ["Conv_30", "Conv_9", "Conv_7"]


@pytest.mark.parametrize(
    ("nodes", "given"),
    [
        ([node("Conv", "a")], []),
        ([node("Conv", "a")], [told("b")]),
        ([node("Conv")], [told("Relu_1")]),
        # One time for two nodes is nobody's.
        ([node("Conv", "a"), node("Conv", "a")], [told("a")]),
    ],
)
def test_a_node_without_a_time_is_refused(nodes, given):
    with pytest.raises(ValueError, match="no time of its own for the node"):
        by_node(nodes, given)
