"""Plots for a terminal: plain text that fits, also through a pipe and without colours.

Each letter outside of ASCII has a plain one in `cli.terminal`, for terminals that lack it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.report.plot import Bars
from edgeshuffle.report.plot.bars import bar_lines
from edgeshuffle.report.plot.curves import curve_lines

if TYPE_CHECKING:
    from edgeshuffle.report.plot import Plot

# What a terminal has that tells nothing of itself; less than the least cannot be drawn in.
WIDTH: Final = 80
_LEAST: Final = 40


def text(plot: Plot, width: int = WIDTH) -> str:
    """Lines of at most `width` columns, or 40 if that is less, without a line break at the end."""
    room = max(width, _LEAST)
    lines = bar_lines(plot, room) if isinstance(plot, Bars) else curve_lines(plot, room)
    return "\n".join(line.rstrip() for line in lines)
