"""Which node of a graph ONNX Runtime's profiler speaks of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edgeshuffle.untrusted import clean, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from edgeshuffle.device.replies import OperatorTime

# As the agent shortens them.
NAME: Final = 1000


def by_node(nodes: Sequence[onnx.NodeProto], told: Sequence[OperatorTime]) -> list[OperatorTime]:
    """What was told of each node, by its name.

    A node without a name is called by its kind and a number that it has in memory only, so such
    ones are told by the order that they run in. Raises ValueError where a node was not told of.
    """
    named = {_key(node) for node in nodes if node.name}
    by_name = {one.name: one for one in told if one.name in named}
    nameless = [one for one in sorted(told, key=lambda one: one.order) if one.name not in named]
    found = []
    for node in nodes:
        if node.name:
            one = by_name.pop(_key(node), None)
        else:
            call = re.compile(rf"{re.escape(clean(node.op_type))}_\d+")
            one = next((each for each in nameless if call.fullmatch(each.name)), None)
            nameless = [each for each in nameless if each is not one]
        if one is None:
            raise ValueError(
                f"no time of its own for the node '{quoted(node.name, 80)}' ({node.op_type})"
            )
        found.append(one)
    return found


def _key(node: onnx.NodeProto) -> str:
    return clean(node.name[:NAME])
