"""Tables of a flatbuffer from outside, each offset checked before it is followed.

The format (flatbuffers' internals): a table starts with the signed distance back to its vtable,
which has its own and the table's size and a place for each field; fields of vectors, strings and
tables are unsigned distances forward, and vectors start with their length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.untrusted import UntrustedError, clean

if TYPE_CHECKING:
    from collections.abc import Iterator

Number = Literal["b", "B", "i", "I", "f"]
_MOST_ENTRIES: Final = 2**20
_MOST_TEXT: Final = 2**16


@dataclass(frozen=True)
class FlatTable:
    """A table at a place of `raw`. Every method raises UntrustedError for what is out of bounds."""

    raw: bytes
    place: int

    @classmethod
    def root(cls, raw: bytes, identifier: bytes) -> FlatTable:
        """The root table of a buffer with this file identifier."""
        if raw[4:8] != identifier:
            raise UntrustedError(f"no flatbuffer of the kind {identifier.decode()}")
        return cls(raw, _number(raw, 0, "I"))

    def number(self, slot: int, kind: Number, default: int = 0) -> int:
        """A whole number."""
        place = self._field(slot)
        return default if place is None else int(_number(self.raw, place, kind))

    def text(self, slot: int) -> str:
        """A string in one clean line; empty where there is none."""
        content = self.content(slot)
        if len(content) > _MOST_TEXT:
            raise UntrustedError(f"a text of {len(content)} bytes, more than {_MOST_TEXT}")
        return clean(content.decode("utf-8", "replace"))

    def content(self, slot: int) -> bytes:
        """Bytes; none where there are none."""
        start, count = self._vector(slot, 1)
        return self.raw[start : start + count]

    def numbers(self, slot: int, kind: Literal["i", "f"]) -> tuple[float, ...]:
        """A vector of numbers of four bytes."""
        start, count = self._vector(slot, 4)
        return struct.unpack_from(f"<{count}{kind}", self.raw, start)

    def first(self, slot: int) -> int | None:
        """The first of a vector of whole numbers of four bytes."""
        start, count = self._vector(slot, 4)
        return _number(self.raw, start, "i") if count else None

    def table(self, slot: int) -> FlatTable | None:
        """A table, where there is one."""
        place = self._field(slot)
        return None if place is None else FlatTable(self.raw, _followed(self.raw, place))

    def tables(self, slot: int, most: int = _MOST_ENTRIES) -> Iterator[FlatTable]:
        """A vector of tables, which may be one and the same; of more than `most`, none."""
        start, count = self._vector(slot, 4)
        if count > most:
            raise UntrustedError(f"{count} tables, more than {most}")
        for place in range(start, start + 4 * count, 4):
            yield FlatTable(self.raw, _followed(self.raw, place))

    def _field(self, slot: int) -> int | None:
        """Where a field is, if the table has it."""
        vtable = self.place - _number(self.raw, self.place, "i")
        if vtable < 0 or 4 + 2 * slot >= _number(self.raw, vtable, "H"):
            return None
        distance = _number(self.raw, vtable + 4 + 2 * slot, "H")
        return self.place + distance if distance else None

    def _vector(self, slot: int, size: int) -> tuple[int, int]:
        """Where a vector's elements of `size` bytes start, and how many there are."""
        place = self._field(slot)
        if place is None:
            return 0, 0
        start = _followed(self.raw, place)
        count = _number(self.raw, start, "I")
        if start + 4 + count * size > len(self.raw):
            raise UntrustedError("a vector that goes beyond the end")
        return start + 4, count


def _followed(raw: bytes, place: int) -> int:
    return place + _number(raw, place, "I")


def _number(raw: bytes, place: int, kind: str) -> int:
    try:
        (found,) = struct.unpack_from(f"<{kind}", raw, place)
    except struct.error as err:
        raise UntrustedError("an offset beyond the end") from err
    return int(found)
