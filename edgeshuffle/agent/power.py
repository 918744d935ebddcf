"""Energy an inference, where a board measures it. Stands alone: needs Python 3.9 or later."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from typing import Any

INTERVAL = 0.1


def power_mw() -> int | None:
    """What a Raspberry Pi 5's power controller delivers at this moment, over all its rails.

    `vcgencmd pmic_read_adc` tells a current and a voltage of each, as `NAME_A current(0)=0.1A` and
    `NAME_V volt(8)=3.7V`. What hangs on USB or the header directly, and what conversion loses, is
    not in it.
    """
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "pmic_read_adc"], stdout=subprocess.PIPE, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    read = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        found = re.match(r"\s*(\w+_[AV])(?:\s+\w+\(\d+\))?=([0-9.]+)[AV]", line)
        if found:
            read[found[1]] = float(found[2])
    rails = [name[:-2] for name in read if name.endswith("_A") and name[:-1] + "V" in read]
    return round(1000 * sum(read[r + "_A"] * read[r + "_V"] for r in rails)) if rails else None


def measure(invoke: Any, seconds: float) -> dict[str, Any]:
    """Mean power for so long while idle, then while inferring; None where none is measured."""
    idle = _watch(seconds)
    inferences, stop = [0], threading.Event()

    def work() -> None:
        while not stop.is_set():
            invoke()
            inferences[0] += 1

    worker = threading.Thread(target=work, daemon=True)
    start = time.perf_counter()
    worker.start()
    busy = _watch(seconds)
    stop.set()
    worker.join()
    return {
        "idle_mw": idle,
        "busy_mw": busy,
        "inferences": inferences[0],
        "seconds": time.perf_counter() - start,
    }


def _watch(seconds: float) -> float | None:
    """Mean power over a while."""
    read: list[int] = []
    end = time.perf_counter() + seconds
    while not read or time.perf_counter() < end:
        now = power_mw()
        if now is None:
            return None
        read.append(now)
        time.sleep(INTERVAL)
    return sum(read) / len(read)
