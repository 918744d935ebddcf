"""What `compare` found: a row a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.report.sqnr import decibels, sqnr_cell, sqnr_column
from edgeshuffle.report.table import Column, ResultTable, Worded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.report.table import Cell
    from edgeshuffle.runner.compare import Comparison
    from edgeshuffle.runner.compare.layers import ComparedLayer


def comparison_table(found: Comparison) -> ResultTable:
    """Layers that compute, and the first that goes wrong; wrong ones have a `!`."""
    kinds = list(dict.fromkeys(kind for layer in found.layers for kind in layer.sqnr_db))
    both = any(layer.steps is not None for layer in found.layers)
    steps = (
        Column(key="steps", heading="steps"),
        Column(key="differing", heading="differ", unit="%", form=".2f"),
    )
    shown = [layer for layer in found.layers if not layer.moves or layer is found.first_wrong]
    return ResultTable(
        key="layers",
        title=f"{found.model} against float on {found.n} images of {found.data}",
        columns=(
            Column(key="layer", heading="layer", kind="text"),
            Column(key="operator", heading="operator", kind="text"),
            *(sqnr_column(kind) for kind in kinds),
            *(steps if both else ()),
        ),
        rows=tuple(_row(layer, kinds, both=both) for layer in shown),
        notes=tuple(_notes(found, both=both)),
    )


def _row(layer: ComparedLayer, kinds: list[str], *, both: bool) -> tuple[Cell, ...]:
    name = Worded(value=layer.name, text=f"! {layer.name}") if layer.wrong else layer.name
    return (
        name,
        layer.operator,
        *(sqnr_cell(layer.sqnr_db[kind]) if kind in layer.sqnr_db else None for kind in kinds),
        *((layer.steps, layer.differing) if both else ()),
    )


def _notes(found: Comparison, *, both: bool) -> Iterator[str]:
    if found.fitted:
        yield "Channels were equalized; all but the output's are scaled back to compare."
    if both:
        yield "`steps` is the most by which the formats differ, `differ` where they do."
    if found.agreement:
        pairs = ", ".join(f"{pair} {percent:.1f} %" for pair, percent in found.agreement.items())
        yield f"Same largest class: {pairs}."
    for layer in found.layers if len(found.outputs) > 1 else ():
        if layer.name in found.outputs:
            ratios = ", ".join(f"{kind} {decibels(db)} dB" for kind, db in layer.sqnr_db.items())
            yield f"Output {layer.name}: {ratios}."
