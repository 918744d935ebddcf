"""The program: what must hold from the first moment on, and then the command line."""

from __future__ import annotations

import os
import signal
import sys


def run() -> None:
    """Run the command line and exit."""
    # Imports take a while; until the command line handles it, Ctrl-C ends all without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    _open_standard_streams()
    # ONNX Runtime's publisher need not hear what runs here, unless somebody says so.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

    from edgeshuffle.cli import main

    main()


def _end(_number: int, _frame: object) -> None:
    os._exit(130)


def _open_standard_streams() -> None:
    """Fill the places of closed streams, or the next file to be opened would be written to."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)


if __name__ == "__main__":
    run()
