"""`edgeshuffle`, which also writes down each block of samples that a bench went on from.

    python -m campaign.announced LOG ARGUMENTS...

A block counts as finished when the bench, having had it, asks for the next thing.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from edgeshuffle.__main__ import run


def main() -> None:
    path = sys.argv.pop(1)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if "bench" in sys.argv:
        _hurry()
        _watch(log)
    # All is imported that a signal could interrupt before the program holds it: it may be ended.
    Path(f"{path}.ready").touch()
    run()


def _hurry() -> None:
    """A full run of two seconds a file instead of sixty."""
    from edgeshuffle.runner.bench.plan import SAMPLINGS

    SAMPLINGS["full"] = dataclasses.replace(SAMPLINGS["full"], seconds=2)


def _watch(log: int) -> None:
    from edgeshuffle.device.process import JsonProcess
    from edgeshuffle.runner.bench.run import SETTLED_SAMPLES

    answered = JsonProcess.ask
    waiting: list[bytes] = []

    def ask(self, command, *more, **named):
        while waiting:
            os.write(log, waiting.pop() + b"\n")
        reply = answered(self, command, *more, **named)
        samples = reply.get("samples_ns")
        # The warm-up asks for so many, and is no part of what is measured.
        if samples and command.get("n") != SETTLED_SAMPLES:
            waiting.append(json.dumps(samples).encode())
        return reply

    JsonProcess.ask = ask


if __name__ == "__main__":
    main()
