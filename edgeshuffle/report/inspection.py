"""What `inspect` found: a column a file, so that several stand beside each other."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Final

from edgeshuffle.report.table import Column, ResultTable, Worded
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.report.table import Cell
    from edgeshuffle.runner.inspect import Inspection

_SHOWN: Final = 8
_FEW: Final = 5
_NONE: Final = Worded(value=0, text="")


def inspection_table(inspections: dict[str, Inspection]) -> ResultTable:
    """Files by name: what is counted, and how often each operator is there."""
    found = list(inspections.values())
    # Only what tells the files apart, so that four of them fit beside each other.
    common = ""
    if len(inspections) > 1:
        common = os.path.commonprefix(list(inspections))  # noqa: RUF071 - of names, not of paths
    batches: tuple[Cell, ...] = ("Images an inference", *(one.batch for one in found))
    counts: tuple[tuple[Cell, ...], ...] = (
        *((batches,) if any(one.batch > 1 for one in found) else ()),
        (
            "MACs (millions)",
            *(Worded(value=one.macs, text=f"{one.macs / 1e6:.1f}") for one in found),
        ),
        ("Parameters", *(one.parameters for one in found)),
        ("Weight bytes", *(one.weight_bytes for one in found)),
        ("Bytes moved", *(one.moved_bytes for one in found)),
        ("Requantizations", *(len(one.requantizations) for one in found)),
        ("Channel shuffles", *(one.shuffles for one in found)),
        ("Transposes", *(one.transposes for one in found)),
        ("Tensors of rank 5+", *(len(one.wide_tensors) for one in found)),
    )
    operators: tuple[tuple[Cell, ...], ...] = tuple(
        (op, *(one.ops.get(op, _NONE) for one in found))
        for op in sorted({op for one in found for op in one.ops})
    )
    return ResultTable(
        key="inspection",
        title=common.strip("_"),
        columns=(
            Column(key="", heading="", kind="text"),
            *(
                Column(key=name, heading=name.removeprefix(common), form=",")
                for name in inspections
            ),
        ),
        rows=counts + operators,
        notes=tuple(_notes(inspections)),
        rules=frozenset({len(counts) - 1}),
    )


def _millions(found: Inspection) -> Cell:
    return Worded(value=found.macs, text=f"{found.macs / 1e6:.1f}")


def _notes(inspections: dict[str, Inspection]) -> Iterator[str]:
    """Remarks of each file, and those that hold for all of several once."""
    remarks = {name: list(_remarks(one)) for name, one in inspections.items()}
    first, *others = remarks.values()
    common = [line for line in first if all(line in lines for lines in others)] if others else []
    yield from (f"all: {line}" for line in common)
    for name, lines in remarks.items():
        yield from (f"{name}: {line}" for line in lines if line not in common)


def _remarks(found: Inspection) -> Iterator[str]:
    """On several inputs and outputs, what is not counted, shuffles and requantizations."""
    for kind, ends in (("input", found.inputs), ("output", found.outputs)):
        if len(ends) > 1:
            shown = ", ".join(f"'{quoted(name, 60)}' {_shape(dims)}" for name, dims in ends.items())
            yield f"{len(ends)} {kind}s: {shown}"
    yield from _metadata(found)
    if found.unknown:
        some = ", ".join(quoted(one, 80) for one in found.unknown[:_SHOWN])
        more = f" and {len(found.unknown) - _SHOWN} more"
        yield (
            f"not counted, as it is only known when it runs: {some}"
            f"{more if len(found.unknown) > _SHOWN else ''}"
        )
    yield from _shuffles(found)
    for one in found.requantizations[:_SHOWN]:
        scales = ", ".join(f"{source.scale:.4g}" for source in one.sources)
        yield (f"{one.op} to '{one.output}' requantizes: scale {scales} to {one.target.scale:.4g}")
    if len(found.requantizations) > _SHOWN:
        yield f"and {len(found.requantizations) - _SHOWN} more (all with `as_json`)"


def _metadata(found: Inspection) -> Iterator[str]:
    """What the file says of itself, as far as it fits in a few lines."""
    if found.unreadable_metadata is not None:
        yield f"its metadata cannot be read: {found.unreadable_metadata}"
    said = found.metadata
    if said is None:
        return
    if said.name or said.description:
        yield f"it says: {quoted(said.description or said.name, 200)}"
    if said.preprocess is not None:
        yield f"its pictures: {_preparation(said.preprocess, said.input)}"
    if said.labels:
        some = ", ".join(quoted(name, 40) for name in said.labels[:_FEW])
        more = ", ..." if len(said.labels) > _FEW else ""
        yield f"{len(said.labels)} class names: {some}{more}"
    for key, value in list(said.others.items())[:_SHOWN]:
        yield f"metadata '{quoted(key, 60)}': {quoted(value, 80)}"
    if len(said.others) > _SHOWN:
        yield f"and {len(said.others) - _SHOWN} more metadata (all with `as_json`)"


def _preparation(preprocess: Preprocess, given: str) -> str:
    height, width = preprocess.crop
    read = f"resized to {preprocess.resize}, {height}x{width} cropped, {preprocess.channels}"
    if given == "pixels":
        return f"{read}, pixels of 0 to 255"
    mean, std = (
        ", ".join(f"{value:.4g}" for value in values)
        for values in (preprocess.mean, preprocess.std)
    )
    return f"{read}, of 0 to 1, mean {mean}, std {std}"


def _shuffles(found: Inspection) -> Iterator[str]:
    left = found.dissolved
    if left is not None and left.moving is not None and left.moved_bytes is not None:
        yield (
            f"dissolving leaves {left.shuffles} of {found.shuffles} channel shuffles, "
            f"{left.moving[1]} of {left.moving[0]} operators that only move data, and "
            f"{left.moved_bytes[1]:,} of {left.moved_bytes[0]:,} bytes moved"
            f"{f' ({quoted(left.reason)})' if left.reason else ''}"
        )
    elif left is not None:
        yield f"its shuffles cannot be dissolved: {left.reason or ''}"
    elif found.shuffles:
        yield "its shuffles can be dissolved in the float ONNX model that it was made of"


def _shape(dims: tuple[int, ...] | None) -> str:
    return "of open shape" if dims is None else "x".join(map(str, dims))
