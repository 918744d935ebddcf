"""The first nodes of an ONNX graph as a model of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import onnx

from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOTHING: Final = "edgeshuffle/nothing"


def read_graph(content: bytes) -> onnx.ModelProto:
    """The graph that an agent told; raises ValueError for what is none."""
    try:
        return onnx.load_model_from_string(content)
    # protobuf has errors of its own.
    except Exception as err:
        raise ValueError(quoted(str(err), 200)) from err


def onnx_cuts(graph: onnx.ModelProto) -> Iterator[bytes]:
    """The graph without a node, with its first, with its first two and so on.

    The first output is a constant. What is read by no node that is left is another one, so that
    nothing is left out as useless.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    model.graph.initializer.append(
        onnx.helper.make_tensor(_NOTHING, onnx.TensorProto.FLOAT, [1], [0])
    )
    nodes = list(graph.graph.node)
    for count in range(len(nodes) + 1):
        kept = nodes[:count]
        read = {name for node in kept for name in node.input}
        made = [name for node in kept for name in node.output if name and name not in read]
        del model.graph.node[:], model.graph.output[:], model.graph.value_info[:]
        model.graph.node.extend(kept)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (_NOTHING, *made))
        yield model.SerializeToString()
