"""Arrays in a zip file, as numpy.savez writes them: header first, data only as far as asked for."""

from __future__ import annotations

import math
import struct
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from numpy.lib import format as npy

from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_SUFFIX: Final = ".npy"
_MOST_MEMBERS: Final = 1000
_CHUNK: Final = 1 << 20
# Deflate makes no more than 1032 of a byte; pictures are far from that.
_MOST_PACKED: Final = 100
_ALWAYS_UNPACKED: Final = 256 << 20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class UnreadableError(ValueError):
    """Not what numpy writes, damaged, or larger than is sensible; the message says which."""


@dataclass(frozen=True)
class Member:
    """One array: what its header says, and where it is.

    Its values begin `offset` bytes after the member's start, and at `place` of the file itself
    where they are not packed.
    """

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int
    place: int | None

    @property
    def nbytes(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def length(self) -> int:
        """Number of its rows; a single value is one."""
        return self.shape[0] if self.shape else 1

    def whole(self, most: int) -> NDArray[Any]:
        """All values; raises UnreadableError for more than `most` bytes."""
        if self.nbytes > most:
            raise UnreadableError(
                f"{self.name} has {self.nbytes >> 20} MiB, more than {most >> 20}"
            )
        data = np.empty(self.nbytes, np.uint8)
        at = 0
        for chunk in self.chunks():
            data[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
            at += len(chunk)
        values = data.view(self.dtype) if self.nbytes else np.empty(0, self.dtype)
        return values.reshape(self.shape, order="F" if self.fortran else "C")

    def verify(self) -> None:
        """Read it to its end; raises UnreadableError at damage."""
        for _ in self.chunks():
            pass

    def chunks(self, least: int = 0) -> Iterator[bytes]:
        """Its values' bytes, all of them, by `least` or more; raises UnreadableError at damage."""
        with _readable(self.file) as archive, archive.open(f"{self.name}{_SUFFIX}") as content:
            content.read(self.offset)
            left = self.nbytes
            while left:
                chunk = content.read(min(left, max(least, _CHUNK)))
                if not chunk:
                    raise UnreadableError(f"{self.name} ends early")
                left -= len(chunk)
                yield chunk
            # Only at its end is the check sum looked at.
            if content.read(1):
                raise UnreadableError(f"{self.name} has more values than its header says")


def members(file: Path) -> dict[str, Member]:
    """All arrays of an .npz file by name; raises UnreadableError."""
    with _readable(file) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_MEMBERS:
            raise UnreadableError(f"it has {len(entries)} arrays")
        found = {}
        for entry in entries:
            if not entry.filename.endswith(_SUFFIX):
                continue
            name = entry.filename.removesuffix(_SUFFIX)
            if entry.compress_type not in _METHODS:
                raise UnreadableError(f"{quoted(name)} is packed as numpy does not pack")
            if entry.file_size > max(_ALWAYS_UNPACKED, _MOST_PACKED * entry.compress_size):
                raise UnreadableError(
                    f"{quoted(name)} unpacks {entry.compress_size >> 10} KiB to "
                    f"{entry.file_size >> 20} MiB, as no pictures do"
                )
            with archive.open(entry) as content:
                member = _member(file, name, content)
            if entry.compress_type == zipfile.ZIP_STORED:
                member = replace(member, place=_start(file, entry) + member.offset)
            found[name] = member
    return found


def _member(file: Path, name: str, content: IO[bytes]) -> Member:
    version = npy.read_magic(content)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(content)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(content)
    else:
        raise UnreadableError(f"{quoted(name)} is no plain array")
    if dtype.hasobject or dtype.names or not dtype.itemsize or min(shape, default=0) < 0:
        raise UnreadableError(f"{quoted(name)} is no plain array")
    return Member(file, name, shape, dtype, fortran and len(shape) > 1, content.tell(), None)


def _start(file: Path, entry: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: after its local header (APPNOTE.TXT, 4.3.7)."""
    with file.open("rb") as raw:
        raw.seek(entry.header_offset)
        name, extra = struct.unpack("<26xHH", raw.read(30))
    return entry.header_offset + 30 + int(name) + int(extra)


@contextmanager
def _readable(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except UnreadableError:
        raise
    # zipfile, zlib and numpy let errors of many types out of a damaged file.
    except Exception as err:
        raise UnreadableError(quoted(str(err)) or type(err).__name__) from err
