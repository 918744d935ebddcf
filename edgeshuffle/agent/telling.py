"""Tells what was found, and what went wrong, in lines that no terminal chokes on.

Stands alone: needs OpenCV for a window only. Python 3.9 or later.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

# Of pictures that come all the time, one is told a second, and each change.
TELL_SECONDS = 1.0


class Teller:
    """Prints what was found, and how many pictures a second there are."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._begun = time.monotonic()
        # When pictures were counted last, and how many there had been.
        self._since: tuple[float, int] | None = None
        self._last = ""
        self.count = 0

    def tell(self, name: str, found: list[tuple[str, float]], *, streaming: bool) -> None:
        """Of a picture, its labels; where `streaming`, many have this name."""
        self.count += 1
        now = time.monotonic()
        if self._json:
            guesses = [{"label": label, "probability": share} for label, share in found]
            print(json.dumps({"picture": name, "top": guesses}), flush=True)
            return
        words = clean(", ".join(f"{label} {100 * share:.1f} %" for label, share in found))
        name = clean(name)
        if not streaming:
            print(f"{name}: {words}", flush=True)
            return
        started, before = self._since or (now, self.count)
        self._since = started, before
        if found[0][0] == self._last and now - started < TELL_SECONDS:
            return
        self._last = found[0][0]
        rate = ""
        if self.count > before:
            rate = f" ({(self.count - before) / max(now - started, 1e-9):.1f} pictures a second)"
        print(f"{name}: {words}{rate}", flush=True)
        if now - started >= TELL_SECONDS:
            self._since = (now, self.count)

    def end(self) -> None:
        """How many there were."""
        if not self._json and self.count > 1:
            seconds = time.monotonic() - self._begun
            print(f"{self.count} pictures in {seconds:.1f} s", flush=True)


class Window:
    """A window with the picture and its labels, where one is wanted; Esc or q closes it."""

    def __init__(self, wanted: bool) -> None:
        self._cv2: Any = None
        if wanted:
            try:
                import cv2
            except ImportError:
                sys.exit(tell("--show needs OpenCV with windows: pip install opencv-python."))
            self._cv2 = cv2

    def shows(self, pixels: Any, found: list[tuple[str, float]]) -> bool:
        """Whether to go on, with uint8 (h, w, C) `pixels` and their labels shown."""
        if self._cv2 is None:
            return True
        drawn = pixels[..., [2, 1, 0] if pixels.shape[2] > 1 else [0, 0, 0]].copy()
        for row, (label, share) in enumerate(found):
            at = (8, 28 + 28 * row)
            font = self._cv2.FONT_HERSHEY_SIMPLEX
            for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
                text = f"{label} {100 * share:.1f} %"
                self._cv2.putText(drawn, text, at, font, 0.8, colour, width)
        try:
            self._cv2.imshow("classify", drawn)
            return self._cv2.waitKey(1) & 0xFF not in (27, ord("q"))
        except self._cv2.error:
            sys.exit(tell("This OpenCV has no windows, or there is no screen: leave out --show."))


def tell(problem: str) -> int:
    """One line on stderr; the exit status."""
    print(f"classify.py: {clean(problem)}", file=sys.stderr, flush=True)
    return 1


def clean(text: str) -> str:
    """One line without a character that a terminal could obey: each becomes a space."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def never_fail_on_letters() -> None:
    """Let letters that the terminal's encoding lacks be told by their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
