"""What `classify` found: a row a picture, or of few pictures, a row a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.report.table import Column, ResultTable, Worded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.report.table import Cell
    from edgeshuffle.runner.classify import Classification, Classified


def classification_table(found: Classification) -> ResultTable:
    """Labels and probabilities; what was odd about a picture stands below."""
    truths = any(one.truth is not None for one in found.pictures)
    rows: list[tuple[Cell, ...]] = []
    rules = []
    for one in found.pictures:
        rows += _rows(one, truths=truths)
        if len(one.top) > 1:
            rules.append(len(rows) - 1)
    return ResultTable(
        key="classification",
        title="",
        columns=(
            Column(key="picture", heading="Picture", kind="text"),
            *((Column(key="truth", heading="Class", kind="text"),) if truths else ()),
            Column(key="label", heading="Label", kind="text"),
            Column(key="probability", heading="%", divisor=0.01, form=".1f"),
        ),
        rows=tuple(rows),
        notes=tuple(_notes(found)),
        rules=frozenset(rules),
    )


def _rows(one: Classified, *, truths: bool) -> Iterator[tuple[Cell, ...]]:
    truth = None if one.truth is None else one.truth_label or f"class {one.truth}"
    known: tuple[Cell, ...] = (truth,) if truths else ()
    if one.problem is not None:
        yield (one.picture, *known, Worded(value=None, text="not classified"), None)
    for rank, guess in enumerate(one.top):
        # The same picture is not named again.
        names = (one.picture, *known) if not rank else ("",) * (1 + len(known))
        yield (*names, guess.name, guess.probability)


def _notes(found: Classification) -> Iterator[str]:
    for one in found.pictures:
        if one.odd:
            yield f"{one.picture}: {', '.join(one.odd)}."
        if one.problem is not None:
            yield one.problem
    where = "" if found.device is None else f" on {found.device.cpu}"
    yield f"By {found.file} in {found.runtime} {found.runtime_version}{where}."
    if found.ms is not None:
        parts = {
            "decode": found.ms.decode,
            "preprocess": found.ms.preprocess,
            "infer": found.ms.infer,
            "transfer": found.ms.transfer,
        }
        told = ", ".join(f"{name} {ms:.1f}" for name, ms in parts.items() if ms is not None)
        several = " (medians)" if len(found.pictures) > 1 else ""
        yield f"Milliseconds a picture{several}: {told}."
