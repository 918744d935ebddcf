"""A result's table as data: `text` shows it to people, `csv_file` and JSON give it to programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A measured value and what it may be as well; None where there are too few samples."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class WithError:
    """A measured value and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Worded:
    """A value that people are told in words, such as `equal` for an SQNR that is None."""

    value: Value
    text: str


Cell = Value | Interval | WithError | Worded


@dataclass(frozen=True, kw_only=True)
class Column:
    """What a column's cells are.

    Args:
        key: Its name for programs, with the unit of the cells' values (`p50_ns`).
        heading: Its name for people.
        unit: What people are shown the values in, which are `divisor` times larger (`ms`).
        divisor: From the values' unit to the one that is shown.
        form: A format specification such as `.1f` or `,`; without one, whole numbers are shown
            whole and others with four digits that count.
        kind: Numbers stand to the right and are never broken. Text stands to the left and is
            folded where it does not fit, never cut.
        spread: What the cells are besides values: Intervals or WithErrors.
        shown: False is for programs only, as what a title says of all rows.
        apart: Where not all columns fit beside each other, this one begins the next part.
    """

    key: str
    heading: str
    unit: str = ""
    divisor: float = 1
    form: str = ""
    kind: Literal["number", "text"] = "number"
    spread: Literal["", "interval", "error"] = ""
    shown: bool = True
    apart: bool = False

    @property
    def label(self) -> str:
        """Heading and unit, as above the cells."""
        return f"{self.heading} {self.unit}".strip()

    def values(self, cell: Cell) -> dict[str, Value]:
        """A cell's values for programs; the same keys for every cell of the column."""
        others = {"": (), "interval": ("low", "high"), "error": ("error",)}[self.spread]
        value = cell.value if isinstance(cell, Interval | WithError | Worded) else cell
        return {self.key: value} | {f"{self.key}_{one}": getattr(cell, one, None) for one in others}


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """Rows of cells under columns, with what is to be said above and below.

    Args:
        key: Its name for programs, where a result has several tables.
        title: One line above it.
        columns: The first ones that are text name the rows.
        rows: A cell for each column.
        notes: Sentences below it.
        rules: Numbers of rows that a line is drawn under.

    Raises:
        ValueError: Two columns have the same key, a row has not a cell for each column, or a cell
            is another spread than its column's.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    rules: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        keys = [key for column in self.columns for key in column.values(None)]
        if len(set(keys)) != len(keys):
            raise ValueError(f"{self.key} has columns of the same key among {', '.join(keys)}")
        for row in self.rows:
            for column, cell in zip(self.columns, row, strict=True):
                spread = {Interval: "interval", WithError: "error"}.get(type(cell), column.spread)
                if spread != column.spread:
                    raise ValueError(f"{self.key}.{column.key} has no cells such as {cell}")

    def records(self) -> list[dict[str, Value]]:
        """The rows for programs: values by the columns' keys, in the same order."""
        return [_record(self.columns, row) for row in self.rows]


def _record(columns: tuple[Column, ...], row: tuple[Cell, ...]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for column, cell in zip(columns, row, strict=True):
        found |= column.values(cell)
    return found
