"""The names that users know of an ONNX file's ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx


def name_ends(
    wanted: Mapping[str, str],
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, onnx.TensorProto],
) -> None:
    """Give tensors the names that are `wanted` of them; whatever else has one of those steps back.

    `wanted` has the tensors' present names by the new ones.
    """
    names = {name: f"{name}_" for name in wanted} | {old: new for new, old in wanted.items()}
    for node in nodes:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    renamed = {names.get(key, key): tensor for key, tensor in constants.items()}
    constants.clear()
    constants.update(renamed)
    for name, tensor in constants.items():
        tensor.name = name
