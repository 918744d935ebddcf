"""The first operators of a TFLite file as a model of their own: a few bytes that are changed.

So a device needs the file once, and not a copy for every operator. Offsets are flatbuffers': a
table's field and a vector are found by unsigned 32-bit offsets that count forward, and a vector
starts with its length.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

Change = tuple[int, bytes]

# Places in the vtables of the schema's tables: 4 + 2 for each field before.
_OUTPUTS: Final = 8
_OPERATORS: Final = 10
_SIGNATURES: Final = 18


def tflite_cut(content: bytes, count: int) -> list[Change]:
    """What to change in a file, so that it has its first `count` operators only.

    What none of these reads is an output, or the input where there is none.
    """
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    kept = [graph.Operators(index) for index in range(count)]
    read = {op.Inputs(place) for op in kept for place in range(op.InputsLength())}
    made = [op.Outputs(place) for op in kept for place in range(op.OutputsLength())]
    outputs = [index for index in made if index not in read]
    outputs = outputs or [graph.Inputs(place) for place in range(graph.InputsLength())]
    table = graph._tab
    pointer = table.Pos + table.Offset(_OUTPUTS)
    # A vector's numbers are aligned to their size.
    end = len(content) + -len(content) % 4
    changes = [
        (_length(table, _OPERATORS), struct.pack("<I", count)),
        (pointer, struct.pack("<I", end - pointer)),
        (len(content), b"\0" * (end - len(content))),
        (end, struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs)),
    ]
    if model._tab.Offset(_SIGNATURES):
        # They name outputs that are none any more.
        changes.append((_length(model._tab, _SIGNATURES), struct.pack("<I", 0)))
    return changes


def _length(table: Any, field: int) -> int:
    """Where the length of a field's vector is."""
    vector: int = table.Vector(table.Offset(field))
    return vector - 4
