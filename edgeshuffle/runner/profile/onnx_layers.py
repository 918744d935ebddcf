"""Layers of an ONNX file as ONNX Runtime runs them.

It makes a graph of its own: operators are fused, changed to other kinds, and put between others to
reorder channels. Its nodes' names tell what of the file they were made of, which has the sizes.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from edgeshuffle.runner.inspect import onnx_kinds as standard
from edgeshuffle.runner.inspect.onnx_shuffles import shuffles
from edgeshuffle.runner.profile.kinds import (
    CONVERSION,
    FULLY_CONNECTED,
    SHUFFLE,
    VIEWS,
    Convolution,
    is_conv,
    kind_of,
)
from edgeshuffle.runner.profile.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import onnx

    from edgeshuffle.runner.inspect.onnx_graph import OnnxGraph
    from edgeshuffle.runner.profile.names import Names

# What ONNX Runtime puts around the name of a node that it makes another one of.
_BEFORE: Final = "fused "
_AFTER: Final = re.compile(r"(?:_token_\d+|_nchwc|_nhwc|/MatMulAddFusion|/GemmActivationFusion)$")
# From an activation to what it was fused into, there are few operators.
_FUSED: Final = 8


class OnnxLayers:
    """The layers of one file."""

    def __init__(self, source: OnnxGraph, names: Names) -> None:
        self._source = source
        self._names = names
        self._nodes = {node.name: node for node in source.nodes if node.name}
        self._shuffling = {id(node) for nodes in shuffles(source) for node in nodes}
        convs = (node for node in source.nodes if is_conv(node.op_type) and _groups(node) == 1)
        self._first = next(convs, None)

    def layers(
        self, nodes: Sequence[onnx.NodeProto], shapes: Mapping[str, tuple[int, ...]]
    ) -> list[Layer]:
        """A layer for each node that is run; `shapes` are those of the values that they give."""
        found: list[Layer] = []
        named: dict[str, str] = {}
        for node in nodes:
            made_of = self._made_of(node)
            source = node.input[0] if node.input else ""
            # What reorders channels for another operator goes by the layer that made them.
            behind = made_of is None or kind_of(node.op_type) == CONVERSION
            if made_of is not None and not (behind and source in named):
                name = self._name(made_of)
            else:
                name = named.get(source, source) or node.op_type
            named.update(dict.fromkeys(node.output, name))
            found.append(self._layer(node, made_of, name, shapes))
        return found

    def _layer(
        self,
        node: onnx.NodeProto,
        made_of: onnx.NodeProto | None,
        name: str,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> Layer:
        kind = kind_of(node.op_type)
        if is_conv(node.op_type) or kind == FULLY_CONNECTED:
            conv = None if made_of is None else self._convolution(made_of)
            if conv is None:
                return Layer(name=name, op=node.op_type, kind=kind, macs=None, accesses=None)
            return Layer(
                name=name,
                op=node.op_type,
                kind=conv.kind(first=made_of is self._first),
                macs=conv.macs,
                accesses=conv.accesses,
            )
        if made_of is not None and id(made_of) in self._shuffling:
            kind = SHUFFLE
        elif made_of is None and node.op_type in ("Transpose", *VIEWS):
            kind = CONVERSION
        values = [shapes[value] for value in (*node.input, *node.output) if value in shapes]
        accesses = 0 if node.op_type in VIEWS else sum(map(math.prod, values))
        return Layer(name=name, op=node.op_type, kind=kind, macs=0, accesses=accesses)

    def _made_of(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """What of the file a node does: of several operators, the one that multiplies."""
        source = self._source
        names = [base for name in (node.name, *node.output) for base in _bases(name)]
        hits = (self._nodes.get(name) or source.producer.get(name) for name in names)
        found = next((hit for hit in hits if hit is not None), None)
        multiplies = is_conv(node.op_type) or kind_of(node.op_type) == FULLY_CONNECTED
        if not multiplies:
            return found
        for _ in range(_FUSED):
            if found is None or self._convolution(found) is not None:
                break
            found = source.producer.get(found.input[0]) if found.input else None
        return found if found is not None else self._reader_of_weights(node)

    def _reader_of_weights(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        for name in node.input:
            readers = self._source.readers.get(name, []) if name in self._source.constants else []
            while len(readers) == 1 and readers[0].op_type in ("DequantizeLinear", "Identity"):
                readers = self._source.readers.get(readers[0].output[0], [])
            if len(readers) == 1 and self._convolution(readers[0]) is not None:
                return readers[0]
        return None

    def _convolution(self, node: onnx.NodeProto) -> Convolution | None:
        """The sizes of what multiplies; None for other operators, and where they are open."""
        if not is_conv(node.op_type) and kind_of(node.op_type) != FULLY_CONNECTED:
            return None
        names = (*standard.kind_of(node).inputs[:2], node.output[0])
        read, weight, written = (self._source.shapes.get(name, ()) for name in names)
        if is_conv(node.op_type):
            groups = _groups(node)
            if len(read) != 4 or len(weight) != 4 or len(written) != 4:
                return None
            if weight[1] * groups != read[1] or weight[0] != written[1]:
                return None
            return Convolution(
                batch=read[0],
                read=math.prod(read[2:]),
                written=math.prod(written[2:]),
                inputs=read[1],
                outputs=weight[0],
                taps=math.prod(weight[2:]),
                groups=groups,
            )
        if len(weight) != 2 or not written or written[-1] not in weight:
            return None
        outputs = written[-1]
        inputs = math.prod(weight) // outputs
        return Convolution.fully_connected(math.prod(written[:-1]), inputs, outputs)

    def _name(self, node: onnx.NodeProto) -> str:
        weight = None
        if self._convolution(node) is not None:
            stored = self._source.constant(standard.kind_of(node).inputs[1])
            weight = None if stored is None else stored.name
        return self._names.layer(node.output[0], weight)


def _bases(name: str) -> Iterator[str]:
    """A name, and what it is without what was put around it."""
    name = name.removeprefix(_BEFORE)
    shorter = _AFTER.sub("", name)
    while name:
        yield name
        if shorter == name:
            return
        name, shorter = shorter, _AFTER.sub("", shorter)


def _groups(node: onnx.NodeProto) -> int:
    found = next((one.i for one in node.attribute if one.name == "group"), 1)
    return max(1, int(found))
