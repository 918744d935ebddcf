"""A table for people: text without colours that fits, with nothing cut.

Where the columns do not fit beside each other, headings are broken between words and names folded;
where that is not enough, the columns go on in another table below, with the rows' names again.
"""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeshuffle.report.numbers import interval_of, number
from edgeshuffle.report.table import Interval, WithError, Worded
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.report.table import Cell, Column, ResultTable

# What a terminal has that tells nothing of itself.
WIDTH: Final = 80
# No name is folded narrower than this.
_NAME: Final = 16
_GAP: Final = 2


def text(table: ResultTable, width: int = WIDTH) -> str:
    """Lines of at most `width` columns, without a line break at the end.

    Only a single column beside the rows' names may be wider, if it does not fit alone.
    """
    shown = [
        [shown_cell(column, cell) for column, cell in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    columns = [
        _Measured(column, [row[index] for row in shown])
        for index, column in enumerate(table.columns)
        if column.shown
    ]
    parts = [_drawn(block, table.rules, width) for block in _blocks(columns, width)]
    return "\n".join(
        (
            *([_wrapped(table.title, width)] if table.title else ()),
            "\n\n".join(parts),
            *(_wrapped(note, width) for note in table.notes),
        )
    )


def shown_cell(column: Column, cell: Cell) -> str:
    """What people are shown of a cell; an interval stands in a line of its own."""
    if isinstance(cell, Worded):
        return clean(cell.text)
    if isinstance(cell, Interval):
        low_to_high = interval_of(cell.low, cell.high, column.divisor)
        return f"{_number(column, cell.value)}\n{low_to_high}"
    if isinstance(cell, WithError):
        return f"{_number(column, cell.value)} ±{_number(column, cell.error)}"
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return clean(cell) if isinstance(cell, str) else _number(column, cell)


def _number(column: Column, value: float) -> str:
    if column.divisor != 1:
        value /= column.divisor
    if column.form:
        return format(value, column.form)
    return str(value) if isinstance(value, int) else number(value)


class _Measured:
    """A column's cells as text, and the widths that they may have."""

    def __init__(self, column: Column, cells: list[str]) -> None:
        self.column = column
        self.cells = cells
        lines = [line for cell in cells for line in cell.split("\n")]
        widest = max(map(cell_len, lines), default=0)
        self.natural = max(widest, cell_len(column.label))
        word = max(map(cell_len, column.label.split()), default=0)
        # A column takes room even without a word.
        self.least = max(1, word, widest if column.kind == "number" else min(widest, _NAME))


def _blocks(columns: Sequence[_Measured], width: int) -> list[list[_Measured]]:
    """The columns in as few tables as hold them, each with those that name the rows."""
    names = []
    for column in columns:
        if column.column.kind != "text":
            break
        names.append(column)
    room = width - sum(column.least + _GAP for column in names)
    whole = sum(column.least + _GAP for column in columns[len(names) :]) <= room + _GAP
    blocks: list[list[_Measured]] = [[]]
    used = 0
    for column in columns[len(names) :]:
        full = used + column.least > room or (column.column.apart and not whole)
        if blocks[-1] and full:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += column.least + _GAP
    return [[*names, *block] for block in blocks]


def _widths(columns: Sequence[_Measured], width: int) -> list[int]:
    """The least, and of what is left as much as they need: names first."""
    widths = [column.least for column in columns]
    left = width - sum(widths) - _GAP * (len(widths) - 1)
    for kind in ("text", "number"):
        for index, column in enumerate(columns):
            if column.column.kind == kind:
                more = max(0, min(column.natural - widths[index], left))
                widths[index] += more
                left -= more
    return widths


def _drawn(columns: Sequence[_Measured], rules: frozenset[int], width: int) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    widths = _widths(columns, width)
    for column, own in zip(columns, widths, strict=True):
        right = column.column.kind == "number"
        table.add_column(
            Text(column.column.label),
            justify="right" if right else "left",
            width=own,
            overflow="fold",
        )
    for index, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        table.add_row(*map(Text, cells), end_section=index in rules)
    whole = max(width, sum(widths) + _GAP * len(widths))
    out = io.StringIO()
    Console(file=out, width=whole, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))


def _wrapped(line: str, width: int) -> str:
    return textwrap.fill(clean(line), width, break_on_hyphens=False)
