"""Layers of a TFLite file as LiteRT runs them.

XNNPACK computes a PAD along with the convolution that alone reads it, so the two are one layer.
What widens stored weights runs when the file is loaded, and is none.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.runner.inspect.tflite_shuffles import shuffles
from edgeshuffle.runner.profile.kinds import (
    FULLY_CONNECTED,
    SHUFFLE,
    VIEWS,
    Convolution,
    is_conv,
    kind_of,
)
from edgeshuffle.runner.profile.layer import Layer

if TYPE_CHECKING:
    from edgeshuffle.runner.inspect.tflite_graph import TfliteGraph
    from edgeshuffle.runner.profile.names import Names

_PADS: Final = {"PAD", "PADV2"}


def tflite_layers(graph: TfliteGraph, names: Names) -> list[tuple[int, Layer]]:
    """Layers in the order that they run in, each after the number of operators up to its end."""
    shuffling = {id(node) for nodes in shuffles(graph) for node in nodes}
    convs = (node for node in graph.nodes if graph.op(node) == "CONV_2D")
    first = next(convs, None)
    found = []
    for index, node in enumerate(graph.nodes):
        if _is_computed_along(graph, index) or _is_of_constants(graph, node):
            continue
        along = index > 0 and _is_computed_along(graph, index - 1)
        source = graph.nodes[index - 1] if along else node
        layer = _layer(graph, node, source, names, first=node is first)
        if along:
            layer = replace(layer, op=f"{graph.op(source)}+{layer.op}")
        elif id(node) in shuffling:
            layer = replace(layer, kind=SHUFFLE)
        found.append((index + 1, layer))
    return found


def _is_computed_along(graph: TfliteGraph, index: int) -> bool:
    """Whether an operator is a PAD of pixels that only the next one reads, a convolution."""
    if graph.op(graph.nodes[index]) not in _PADS or index + 1 == len(graph.nodes):
        return False
    image, padded = int(graph.nodes[index].inputs[0]), int(graph.nodes[index].outputs[0])
    readers = [node for node in graph.nodes if padded in map(int, node.inputs)]
    following = graph.nodes[index + 1]
    alone = readers == [following] and padded not in graph.outputs
    # XNNPACK has none that adds channels.
    pixels = graph.shape(image)[::3] == graph.shape(padded)[::3]
    return alone and pixels and is_conv(graph.op(following))


def _is_of_constants(graph: TfliteGraph, node: Any) -> bool:
    return graph.op(node) == "DEQUANTIZE" and graph.is_constant(int(node.inputs[0]))


def _layer(graph: TfliteGraph, node: Any, source: Any, names: Names, *, first: bool) -> Layer:
    op = graph.op(node)
    result = graph.name(int(node.outputs[0])) if len(node.outputs) else op
    conv = _convolution(graph, node, source)
    if conv is not None:
        name = names.layer(result, graph.name(int(node.inputs[1])))
        kind = conv.kind(first=first)
        return Layer(name=name, op=op, kind=kind, macs=conv.macs, accesses=conv.accesses)
    multiplies = is_conv(op) or kind_of(op) == FULLY_CONNECTED
    values = [int(index) for index in (*node.inputs, *node.outputs) if index >= 0]
    values = [index for index in values if not graph.is_constant(index)]
    accesses = 0 if op in VIEWS else sum(math.prod(graph.shape(index)) for index in values)
    return Layer(
        name=names.layer(result),
        op=op,
        kind=kind_of(op),
        macs=None if multiplies else 0,
        accesses=None if multiplies else accesses,
    )


def _convolution(graph: TfliteGraph, node: Any, source: Any) -> Convolution | None:
    """The sizes of what multiplies, and whose input `source` reads; None for other operators."""
    op = graph.op(node)
    if op == "FULLY_CONNECTED":
        outputs, inputs = graph.shape(int(node.inputs[1]))
        batch = math.prod(graph.shape(int(node.outputs[0]))) // outputs
        return Convolution.fully_connected(batch, inputs, outputs)
    if not is_conv(op):
        return None
    read, weight = graph.shape(int(source.inputs[0])), graph.shape(int(node.inputs[1]))
    written = graph.shape(int(node.outputs[0]))
    if len(read) != 4 or len(weight) != 4 or len(written) != 4:
        return None
    # CONV_2D has weights (O, kH, kW, I / groups), DEPTHWISE_CONV_2D (1, kH, kW, O).
    groups = read[3] if op == "DEPTHWISE_CONV_2D" else read[3] // weight[3]
    return Convolution(
        batch=read[0],
        read=math.prod(read[1:3]),
        written=math.prod(written[1:3]),
        inputs=read[3],
        outputs=written[3],
        taps=math.prod(weight[1:3]),
        groups=groups,
    )
