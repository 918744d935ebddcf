"""Standard output and error: text that they can show, none that a terminal would obey.

Names of files, models and devices, labels and what programs on a device say are not ours. Instead
of each place that shows them, the streams are made safe, for as long as a command runs.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from edgeshuffle.untrusted import clean_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

# What ASCII and Windows code pages lack of what we print.
_PLAIN: Final = dict(zip("→…━─│├┤└┴█·µ", ("->", "...", *"--|[]++#.u"), strict=True), **{"±": "+-"})
_ERRORS: Final = "edgeshuffle.plain"


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter, "?") for letter in lacking), error.end


codecs.register_error(_ERRORS, _plain)


class Stream(io.TextIOBase):
    """A text stream without control characters, that a reader may close early without any harm.

    `styled` is the same stream for what styles its text by escape sequences of its own.
    """

    def __init__(self, under: IO[str], *, obeyed: bool = False) -> None:
        self._under = under
        self._obeyed = obeyed
        self.styled = self if obeyed else Stream(under, obeyed=True)

    def write(self, text: str, /) -> int:
        """Write all of it."""
        with self._spared():
            self._under.write(text if self._obeyed else clean_lines(text))
        return len(text)

    def flush(self) -> None:
        """Hand it on."""
        with self._spared():
            self._under.flush()

    def isatty(self) -> bool:
        """Whether somebody reads it as it comes."""
        return self._under.isatty()

    def fileno(self) -> int:
        """The system's number of it."""
        return self._under.fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's, which decides between boxes and ASCII."""
        return getattr(self._under, "encoding", None) or "utf-8"

    @contextmanager
    def _spared(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.drop()

    def drop(self) -> None:
        """Lose what is not written yet, and all that follows."""
        with contextlib.suppress(OSError):
            number = self._under.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Within, `sys.stdout` and `sys.stderr` are safe; raises OSError where they cannot be written.

    A stream that was closed from the start gets what is written to it and shows nothing.
    """
    before = sys.stdout, sys.stderr
    safe: list[Stream] = []
    with contextlib.ExitStack() as opened:
        for name, stream in zip(("stdout", "stderr"), before, strict=True):
            if stream is None:
                stream = opened.enter_context(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: PLW2901
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=_ERRORS)
            safe.append(Stream(stream))
            setattr(sys, name, safe[-1])
        try:
            yield
            for stream in safe:
                stream.flush()
        finally:
            sys.stdout, sys.stderr = before
            for stream in safe:
                # The interpreter would try once more at its end, and complain.
                try:
                    stream.flush()
                except OSError:
                    stream.drop()
