"""Whose channels may be scaled: values of which all that read them can undo it.

A factor passes through what is homogeneous, f(s x) = s f(x), and through a sum of values that all
have it. These then are kin: they have the same factors.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators import Channels, is_conv, operator_of
from edgeshuffle.converter.operators.fused import fused
from edgeshuffle.converter.passes.dissolve_shuffle.trace import channel_count

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.passes.dissolve_shuffle.trace import Reading
    from edgeshuffle.converter.quant.channels import Flow


@dataclass(frozen=True, eq=False)
class Factors:
    """By made value's number: whether it may be `free`ly scaled, and the `first` of its kin.

    `passing` are the readings of values that have the factors of what they read.
    """

    free: list[bool]
    first: list[int]
    passing: dict[int, list[Reading]]


def factors(flowing: Flow) -> Factors:
    """Of a graph of the core's operators."""
    passing = _passing(flowing)
    first = _first(flowing, passing)
    return Factors(_free(flowing, passing, first), first, passing)


def _passing(flowing: Flow) -> dict[int, list[Reading]]:
    found: dict[int, list[Reading]] = {}
    for reading in flowing.trace.readings:
        node = reading.node
        if node is not None and operator_of(node).homogeneous:
            found.setdefault(flowing.number[node.outputs[0]], []).append(reading)
    values = flowing.trace.values
    return {number: of for number, of in found.items() if _passes(flowing, values[number], of)}


def _passes(flowing: Flow, value: ir.Value, readings: list[Reading]) -> bool:
    node = value.producer()
    assert node is not None
    if operator_of(node).channels is not Channels.JOINT:
        return True
    shapes = [g.shape_of(reading.value) for reading in readings]
    alike = len(shapes) == len(node.inputs) and set(shapes) == {g.shape_of(value)}
    return alike and all(_whole(flowing, reading) is not None for reading in readings)


def _whole(flowing: Flow, reading: Reading) -> int | None:
    """The made value of which a reading is all channels in their order."""
    number = int(reading.made[0])
    count = channel_count(flowing.trace.values[number])
    alone = (reading.made == number).all() and np.array_equal(reading.index, np.arange(count))
    return number if alone else None


def _first(flowing: Flow, passing: dict[int, list[Reading]]) -> list[int]:
    first = list(range(len(flowing.trace.values)))
    for number, readings in passing.items():
        for source in (_whole(flowing, reading) for reading in readings):
            if source is not None:
                low, high = sorted((first[source], first[number]))
                first = [low if one == high else one for one in first]
    return first


def _free(flowing: Flow, passing: dict[int, list[Reading]], first: list[int]) -> list[bool]:
    values, numbers = flowing.trace.values, range(len(first))
    gathers = {n for n, of in passing.items() if all(_whole(flowing, r) is None for r in of)}
    # Kin of a value with factors from several others can have none of their own.
    origins = Counter(first[n] for n in numbers if n in gathers or n not in passing)
    free = [
        n not in flowing.trace.fixed
        and bool(flowing.read[n])
        and (n in passing or _is_scalable(values[n]))
        and (origins[first[n]] == 1 or not gathers & {k for k in numbers if first[k] == first[n]})
        for n in numbers
    ]
    while True:
        before = list(free)
        for n in numbers:
            free[n] = free[n] and all(
                reading.node is not None
                and (is_conv(reading.node) or _passed(flowing, reading.node, passing, free))
                for reading in flowing.read[n]
            )
        for n, readings in passing.items():
            sources = {int(source) for reading in readings for source in np.unique(reading.made)}
            free[n] &= all(free[s] or values[s].producer() is None for s in sources)
        bound = {first[n] for n in numbers if not free[n]}
        free = [first[n] not in bound for n in numbers]
        if free == before:
            return free


def _is_scalable(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and is_conv(node) and fused(node).activation != "relu6"


def _passed(
    flowing: Flow, node: ir.Node, passing: dict[int, list[Reading]], free: list[bool]
) -> bool:
    number = flowing.number[node.outputs[0]]
    return number in passing and free[number]
