"""Points and lines on a terminal, over axes with round numbers."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from edgeshuffle.report.plot.canvas import JOIN, Canvas
from edgeshuffle.report.plot.scale import Scale, shown_tick
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.report.plot import Curves

_ROWS: Final = 18
_UP: Final = 6
# Columns that a number under the abscissa has, with room around it.
_TICK: Final = 12
_MARKS: Final = "ox+*#@%&"

_Place = tuple[int, int]


def curve_lines(plot: Curves, width: int) -> list[str]:
    """A title, the plot with both axes, and what its marks mean; 40 columns are needed."""
    across, up = Scale(plot.xs(), log=plot.x.log), Scale(plot.ys(), log=plot.y.log)
    ticks = up.ticks(_UP)
    shown = {tick: shown_tick(tick, ticks) for tick in ticks}
    margin = max(map(len, shown.values()), default=0)
    canvas = Canvas(width - margin - 2, _ROWS)

    def at(x: float, y: float) -> _Place:
        return (
            round(across.place(x) * (canvas.width - 1)),
            round((1 - up.place(y)) * (_ROWS - 1)),
        )

    _draw(plot, canvas, at)
    rows = {at(across.low, tick)[1]: words for tick, words in shown.items()}
    below = Canvas(canvas.width, 2)
    below.across(0, below.width - 1, 0, "─")
    ticks = across.ticks(max(2, below.width // _TICK))
    for tick in ticks:
        column, _ = at(tick, up.low)
        words = shown_tick(tick, ticks)
        below.put(column, 0, "┴")
        first = min(max(0, column - len(words) // 2), below.width - len(words))
        for index, letter in enumerate(words):
            below.put(first + index, 1, letter)
    axis, numbers = below.lines()
    return [
        *textwrap.wrap(f"{clean(plot.title)}: {plot.y.label} over {plot.x.label}", width),
        *(
            f"{rows.get(row, ''):>{margin}} {'┤' if row in rows else '│'}{line}"
            for row, line in enumerate(canvas.lines())
        ),
        f"{'':>{margin}} └{axis}",
        f"{'':>{margin}}  {numbers}",
        *_legend(plot),
    ]


def _draw(plot: Curves, canvas: Canvas, at: Callable[[float, float], _Place]) -> None:
    """Lines first, then what a value may be, marks over both, and words where there is room."""
    points = [point for series in plot.series for point in series.points]
    for series in plot.series if plot.joined else ():
        places = [at(point.x, point.y) for point in series.points]
        for start, end in pairwise(places):
            canvas.line(start, end, JOIN)
    for point in points:
        if point.low is not None and point.high is not None:
            column, lowest = at(point.x, point.low)
            canvas.down(column, lowest, at(point.x, point.high)[1], "│")
    for index, series in enumerate(plot.series):
        for point in series.points:
            canvas.put(*at(point.x, point.y), _mark(index))
    for point in points:
        canvas.label(*at(point.x, point.y), clean(point.label))


def _legend(plot: Curves) -> list[str]:
    if len(plot.series) == 1:
        return []
    return [f"{_mark(index)} {clean(series.name)}" for index, series in enumerate(plot.series)]


def _mark(index: int) -> str:
    return _MARKS[index % len(_MARKS)]
