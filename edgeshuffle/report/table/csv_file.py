"""Tables for spreadsheets and programs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.report.table import ResultTable, Value


def write_csv(file: Path, tables: Sequence[ResultTable]) -> None:
    """Write a line of keys and one for each row, as RFC 4180 has it but with bare line feeds.

    Values are the tables' own, not rounded; None is empty. Several tables share the keys that they
    have in common, and the first column, `table`, tells them apart. The file appears whole or not
    at all; raises ArtifactError where it cannot be written.
    """
    several = len(tables) > 1
    keys = dict.fromkeys(
        key for table in tables for column in table.columns for key in column.values(None)
    )
    with (
        atomic_file(file) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow((*(("table",) if several else ()), *keys))
        for table in tables:
            for record in table.records():
                cells = (_cell(record.get(key)) for key in keys)
                writer.writerow((*((table.key,) if several else ()), *cells))


def _cell(value: Value) -> str | int | float | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean(value) if isinstance(value, str) else value
