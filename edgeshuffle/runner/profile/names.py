"""The user's names of layers: paths of modules, where a file's weights still have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeshuffle.runner.inspect.onnx_graph import OnnxGraph

# What passes and writers append to a value's or weight's name (`emit.onnx_int8`, `graph.fresh`).
_WEIGHT: Final = re.compile(r"(.+)\.weight(?:_[a-z]+)*")
_ENDING: Final = re.compile(r"(?:_(?:weight|real|float|q|dq))+$")


class Names:
    """What layers of a file are called; `paths` has modules by the names of what they compute."""

    def __init__(self, paths: Mapping[str, str] | None = None) -> None:
        self._paths = paths or {}

    def layer(self, result: str, weight: str | None = None) -> str:
        """Of what computes the value `result`, with a constant of the name `weight`."""
        # Files of ours call a weight after what it computes, before the activation.
        own = result if weight is None or not weight.endswith("_weight") else weight
        bare = _ENDING.sub("", own) or own
        path = None if weight is None else module_path(weight)
        return path or self._paths.get(bare, bare)


def module_path(weight: str) -> str | None:
    """Of the module that has a weight of this name, as torch names them."""
    found = _WEIGHT.fullmatch(weight)
    return None if found is None else found[1]


def module_paths(graph: OnnxGraph) -> dict[str, str]:
    """Paths of modules by the names of the values that they compute, of a float file."""
    return {
        node.output[0]: path
        for node in graph.nodes
        if node.op_type in ("Conv", "Gemm") and (path := module_path(node.input[1])) is not None
    }
