"""Signals that end the program: the first one unwinds it, and what cleans up is left to finish.

Nothing is blocked in the kernel, so child processes start with their signals as usual.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDING: Final = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__
)
# An exception that is lost on its way (raised in a destructor, say) must not make a program that
# nothing can end: after so long, the next signal counts again.
UNWINDING_S: Final = 30.0
_AGAIN_S: Final = 0.01


@contextmanager
def ending_once() -> Iterator[None]:
    """Within, the first SIGINT raises KeyboardInterrupt, SIGTERM and SIGHUP SystemExit.

    The exit status is 128 and the signal's number. Those that follow within `UNWINDING_S` do
    nothing, as the cleaning-up is under way. Signals that were ignored (nohup) stay so. Where
    native code makes another error of the exception, the block still ends with the signal's.
    Where it is raised in a destructor, which lets nothing out, the signal is delivered again a
    moment later. While a module is being imported, it waits for the import's end, `UNWINDING_S` at
    most: the code that initializes an extension may abort the process on an exception.
    """
    unwinding_until = 0.0
    import_until = 0.0
    ending: BaseException | None = None
    came: int | None = None

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal unwinding_until, import_until, ending, came
        now = time.monotonic()
        if now < unwinding_until:
            return
        if _imports(frame):
            import_until = import_until or now + UNWINDING_S
            if now < import_until:
                _deliver_again(number)
                return
        unwinding_until, came = now + UNWINDING_S, number
        ending = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        raise ending

    def swallowed(lost: sys.UnraisableHookArgs) -> None:
        nonlocal unwinding_until
        if came is None or lost.exc_value is not ending:
            before(lost)
            return
        unwinding_until = 0.0
        _deliver_again(came)

    before, sys.unraisablehook = sys.unraisablehook, swallowed
    with _handled(end):
        try:
            yield
        except Exception as err:
            if ending is None or time.monotonic() >= unwinding_until:
                raise
            raise ending from err
        finally:
            sys.unraisablehook = before


@contextmanager
def deferred() -> Iterator[None]:
    """Within, no signal of `ENDING` interrupts; the first that came is delivered at the end."""
    came: list[int] = []
    try:
        with _handled(lambda number, _: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _deliver_again(number: int) -> None:
    def deliver() -> None:
        time.sleep(_AGAIN_S)
        os.kill(os.getpid(), number)

    # Not a Timer: what was interrupted may hold the lock that starting a `Thread` takes.
    _thread.start_new_thread(deliver, ())


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # Only the main thread may set handlers, and only it is interrupted by them.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # None stands for a handler that is not Python's, which cannot be put back.
    replaced = {
        number: before
        for number in ENDING
        if (before := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    try:
        for number in replaced:
            signal.signal(number, handler)
        yield
    finally:
        for number, before in replaced.items():
            signal.signal(number, before)
