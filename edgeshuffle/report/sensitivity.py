"""What `sensitivity` found: a row a layer, and a bar for its share of the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.report.sqnr import decibels, sqnr_cell, sqnr_column
from edgeshuffle.report.table import Column, ResultTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.converter.sensitivity import Sensitivity

# As wide as a name always may be (`table.text`).
_BAR: Final = 16


def sensitivity_table(found: Sensitivity, top: int | None) -> ResultTable:
    """The `top` layers with the most noise, or all of them."""
    shown = found.layers[:top]
    widest = max((layer.noise_share for layer in shown), default=0) or 1
    agreement = Column(key="agreement", heading="agree", unit="%", form=".1f")
    classifies = found.agreement is not None
    return ResultTable(
        key="layers",
        title=(
            f"{found.model}, recipe {found.recipe} ({found.calibrator}), on {found.n} images of "
            f"{found.data}"
        ),
        columns=(
            Column(key="layer", heading="INT8 layer", kind="text"),
            Column(key="kind", heading="kind", kind="text"),
            Column(key="macs", heading="M MACs", divisor=1e6, form=".2f"),
            sqnr_column(),
            *((agreement,) if classifies else ()),
            Column(key="noise_share", heading="noise", unit="%", form=".1f"),
            Column(key="bar", heading="", kind="text"),
        ),
        rows=tuple(
            (
                layer.name,
                layer.kind,
                layer.macs,
                sqnr_cell(layer.sqnr_db),
                *((layer.agreement,) if classifies else ()),
                layer.noise_share,
                "#" * round(_BAR * layer.noise_share / widest),
            )
            for layer in shown
        ),
        notes=tuple(_notes(found, len(found.layers) - len(shown))),
    )


def _notes(found: Sensitivity, rest: int) -> Iterator[str]:
    if rest:
        yield f"and {rest} layers with less noise (all without `top`)"
    agreed = "" if found.agreement is None else f", agreement {found.agreement:.1f} %"
    yield (
        f"All {len(found.layers)} together: SQNR {decibels(found.sqnr_db)} dB{agreed}. Noise is "
        "each layer's share of the sum of all."
    )
    if len(found.outputs) > 1:
        each = ", ".join(f"{name} {decibels(value)}" for name, value in found.outputs.items())
        yield f"Each output's SQNR in dB: {each}."
