"""A sheet of letters to draw on; what lies outside of it is not drawn."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len

_EMPTY: Final = " "
# What joins two points gives way to words.
JOIN: Final = "·"


class Canvas:
    """`width` columns and `height` rows, from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self._words: set[tuple[int, int]] = set()
        self._rows = [[_EMPTY] * width for _ in range(height)]

    def put(self, column: int, row: int, letter: str) -> None:
        """One letter, over what is there."""
        if 0 <= row < len(self._rows) and 0 <= column < self.width:
            self._rows[row][column] = letter

    def across(self, start: int, end: int, row: int, letter: str) -> None:
        """A line from one column to another, both included."""
        for column in range(min(start, end), max(start, end) + 1):
            self.put(column, row, letter)

    def down(self, column: int, start: int, end: int, letter: str) -> None:
        """A line from one row to another, both included."""
        for row in range(min(start, end), max(start, end) + 1):
            self.put(column, row, letter)

    def line(self, start: tuple[int, int], end: tuple[int, int], letter: str) -> None:
        """A straight line between two places (column, row), both included."""
        wide, high = end[0] - start[0], end[1] - start[1]
        steps = max(abs(wide), abs(high), 1)
        for step in range(steps + 1):
            column = start[0] + round(wide * step / steps)
            self.put(column, start[1] + round(high * step / steps), letter)

    def label(self, column: int, row: int, words: str) -> bool:
        """Words to the right of a place, else to its left, else above or below it.

        Nothing but what joins points is written over, and nothing is cut: False where there is no
        room.
        """
        width = cell_len(words)
        if not words or width != len(words):
            # A letter of two columns would move what is right of it.
            return False
        beside = [(column + side, row) for side in (2, -width - 1, 1, -width)]
        around = [
            (column + shift, row + step) for step in (-1, 1) for shift in (0, 1 - width, -width)
        ]
        for first, line in (*beside, *around):
            if self._is_free(first, line, width):
                self._rows[line][first : first + width] = words
                # With the column on both sides, so that two labels do not read as one.
                self._words |= {(column, line) for column in range(first - 1, first + width + 1)}
                return True
        return False

    def lines(self) -> list[str]:
        """The rows as text."""
        return ["".join(row) for row in self._rows]

    def _is_free(self, first: int, row: int, width: int) -> bool:
        if not (0 <= row < len(self._rows) and first >= 0 and first + width <= self.width):
            return False
        letters = set(self._rows[row][first : first + width])
        return letters <= {_EMPTY, JOIN} and self._words.isdisjoint(
            (column, row) for column in range(first, first + width)
        )
