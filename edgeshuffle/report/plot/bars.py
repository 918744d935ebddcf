"""Bars on a terminal: one a line, with its names before it and its value behind."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, chop_cells, set_cell_size

from edgeshuffle.report.numbers import interval_of, number
from edgeshuffle.report.plot.canvas import Canvas
from edgeshuffle.report.plot.scale import Scale
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edgeshuffle.report.plot import Bar, Bars

# A column of names wider than this part of a line is folded.
_NAMES: Final = 4
_GAP: Final = 1


def bar_lines(plot: Bars, width: int) -> list[str]:
    """A title and a line or more for each bar; at least 40 columns are needed."""
    groups = _column(plot.groups, width)
    own = _column((one.name for one in plot.series), width) if len(plot.series) > 1 else 0
    values = {bar: _value(bar) for one in plot.series for bar in one.bars}
    if max(map(len, values.values()), default=0) > width // 2:
        values = {bar: "-" if bar is None else number(bar.value) for bar in values}
    told = max(map(len, values.values()), default=0)
    length = width - groups - own - told - _GAP * (3 if own else 2)
    scale = Scale(plot.values(), zero=True)
    lines = textwrap.wrap(f"{clean(plot.title)}: {plot.value.label}", width)
    for index, group in enumerate(plot.groups):
        rows: list[str] = []
        for one in plot.series:
            bar = one.bars[index]
            drawn = " " * length if bar is None else _drawn(bar, scale, length)
            row = [f"{drawn} {values[bar]:>{told}}"]
            rows += _named(one.name, own, row) if own else row
        lines += _named(group, groups, rows)
    return lines


def _named(name: str, width: int, rows: Sequence[str]) -> Iterator[str]:
    """The rows with a name before them, which may need more of them."""
    parts = chop_cells(clean(name), width) if width else []
    for part, row in zip_longest(parts, rows, fillvalue=""):
        yield f"{set_cell_size(part, width)} {row}"


def _drawn(bar: Bar, scale: Scale, length: int) -> str:
    canvas = Canvas(length, 1)
    start, end = sorted(round(scale.place(value) * length) for value in (0, bar.value))
    if bar.value:
        # A value that is too small for a letter is still a bar.
        canvas.across(min(start, length - 1), max(start, end - 1), 0, "█")

    def column(value: float) -> int:
        return round(scale.place(value) * (length - 1))

    if bar.low is not None and bar.high is not None and column(bar.high) > column(bar.low):
        canvas.across(column(bar.low), column(bar.high), 0, "─")
        canvas.put(column(bar.low), 0, "├")
        canvas.put(column(bar.high), 0, "┤")
    return canvas.lines()[0]


def _value(bar: Bar | None) -> str:
    if bar is None:
        return "-"
    if bar.low is None or bar.high is None:
        return number(bar.value)
    return f"{number(bar.value)} ({interval_of(bar.low, bar.high)})"


def _column(names: Iterable[str], width: int) -> int:
    return min(max(map(cell_len, map(clean, names)), default=0), width // _NAMES)
