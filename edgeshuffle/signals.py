"""Cleaning up in peace: signals that end this program wait until it is done."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def deferred() -> Iterator[None]:
    """Hold back SIGINT, SIGTERM and SIGHUP for the block, and deliver each once at its end.

    A second Ctrl-C or a second SIGTERM so leaves nothing half cleaned up; what is inside has to
    end by time limits of its own. Masks would not do: another thread would take the signal, and
    Python runs the handler in this one all the same. In another thread, which gets no signals,
    nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.Signals[name] for name in _ENDING if name in signal.Signals.__members__]
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in numbers}
    # A handler that was not set by Python could not be set again.
    mine = [number for number in numbers if before[number] is not None]
    for number in mine:
        # What is ignored stays so.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
        for late in dict.fromkeys(came):
            signal.raise_signal(late)
