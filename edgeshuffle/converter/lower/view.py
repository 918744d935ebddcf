"""The same pixels under other axes: NHWC memory of (H, W, C) is that of (H, W / g, g C), too.

Written as ONNX that is a Transpose, a Reshape and a Transpose. In a TFLite file, whose values are
NHWC, the three are one RESHAPE, which costs nothing but a copy, or nothing where XNNPACK sees
through it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.lower.draft import Draft

_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
# Whoever writes TFLite follows the elements one by one.
MOST_ELEMENTS = 2**23


def can_view(value: ir.Value) -> bool:
    """Whether a value is small enough."""
    return len(g.shape_of(value)) == 4 and math.prod(g.shape_of(value)) <= MOST_ELEMENTS


def view(
    draft: Draft,
    source: ir.Value,
    size: tuple[int, int, int],
    name: str,
    before: ir.Node,
    result: ir.Value | None = None,
) -> ir.Value:
    """A value's NHWC memory as (N, C, H, W) of `size` (H, W, C), written before a node.

    `result` is the value to make; else one of that name is.
    """
    n, channels, height, width = g.shape_of(source)
    tall, wide, deep = size
    if result is None:
        result = draft.value(name, (n, deep, tall, wide), source)
    last = draft.value(f"{name}_from", (n, height, width, channels), source)
    draft.insert("Transpose", [source], last, before, perm=_TO_NHWC)
    shaped = draft.value(f"{name}_shaped", (n, *size), source)
    # The batch may be left open.
    sizes = draft.constant(f"{name}_shape", 0, *size)
    draft.insert("Reshape", [last, sizes], shaped, before)
    draft.insert("Transpose", [shaped], result, before, perm=_TO_NCHW)
    return result
