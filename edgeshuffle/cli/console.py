"""Tables on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import rich.console
from rich.segment import Segment

from edgeshuffle.untrusted import clean_lines

if TYPE_CHECKING:
    from collections.abc import Iterable


class Console(rich.console.Console):
    """Rich's, for text that is not ours: nothing in it is markup, an emoji or a command."""

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        stream = sys.stderr if stderr else sys.stdout
        settings = {"markup": False, "emoji": False, "highlight": False, **settings}
        # Given none, rich takes it to be UTF-8.
        super().__init__(file=getattr(stream, "styled", stream), stderr=stderr, **settings)

    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterable[Segment]:
        """Rich's segments, with their text cleaned."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(clean_lines(segment.text), segment.style)
