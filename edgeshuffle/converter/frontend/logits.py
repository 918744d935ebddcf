"""Leave out what only turns a model's logits into probabilities or a class."""

from __future__ import annotations

from typing import Final

import onnx
from onnx import helper, shape_inference

from edgeshuffle.errors import ModelError

_LAST: Final = frozenset({"ArgMax", "Identity", "LogSoftmax", "Sigmoid", "Softmax"})


def drop_probabilities(
    proto: onnx.ModelProto, *, required: bool = True
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model with outputs from before their Softmax, LogSoftmax, Sigmoid and ArgMax.

    Outputs keep their names; those whose logits are an output already are left out. Also returns
    the kinds of the operators that were dropped. Raises ModelError where there is none and one is
    `required`.
    """
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    graph = made.graph
    producers = {name: node for node in graph.node for name in node.output}
    outputs = [value.name for value in graph.output]
    ends: dict[str, str] = {}
    dropped: list[str] = []
    for output in outputs:
        name, passed = output, []
        while (node := producers.get(name)) is not None and node.op_type in _LAST:
            passed.append(node.op_type)
            name = node.input[0]
        kinds = [kind for kind in passed if kind != "Identity"]
        ends[output] = name if kinds else output
        dropped += kinds
    if not dropped and not required:
        return proto, ()
    if not dropped:
        raise ModelError(
            "`logits` drops Softmax, LogSoftmax, Sigmoid and ArgMax at the end, and the model has "
            "none of them there. Leave it out."
        )
    kept = {end: output for output, end in reversed(ends.items())}
    names = {end: output for end, output in kept.items() if end != output and end not in outputs}
    # What the names were of steps back.
    names |= {output: f"{output}_dropped" for output in names.values()}
    for node in graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    del graph.output[:]
    for end in dict.fromkeys(ends.values()):
        name = names.get(end, end)
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    _drop_unread(graph)
    del graph.value_info[:]
    return shape_inference.infer_shapes(made), tuple(dict.fromkeys(dropped))


def _drop_unread(graph: onnx.GraphProto) -> None:
    read = {value.name for value in graph.output}
    for node in reversed(list(graph.node)):
        if read.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            read.update(node.input)
