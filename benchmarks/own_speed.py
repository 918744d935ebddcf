"""How long edgeshuffle itself takes: exports and evaluations of two checkouts in turn.

    python benchmarks/own_speed.py ../before . --rounds 5 -- export --width 1.0 --int8 -o OUT
    python benchmarks/own_speed.py . .@1 -- evaluate build/shufflenet_v2_x1_0 --data validation.npz

A contender is a checkout, with `@N` on N cores only; OUT stands for a new folder. Each round runs
every contender once, in turns that a seed decides. Printed are medians and ranges of wall and CPU
time and peak memory, and of the rounds' ratios to the first contender: beyond 1, it took longer.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Run:
    """Seconds by the clock and of the processor, and MiB."""

    wall: float
    cpu: float
    memory: float


def run(contender: str, arguments: list[str]) -> Run:
    """One command line in a process of its own."""
    tree, _, cores = contender.partition("@")
    usable = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        command = [word.replace("OUT", f"{folder}/out") for word in arguments]
        # A process has the cores of the one that starts it.
        os.sched_setaffinity(0, usable[: int(cores) if cores else None])
        started = time.perf_counter()
        process = subprocess.Popen(
            # -P: of the folder that this runs in, nothing is imported.
            [sys.executable, "-P", "-m", "edgeshuffle", *command],
            env={**os.environ, "PYTHONPATH": str(Path(tree).resolve())},
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        os.sched_setaffinity(0, usable)
    if status:
        raise SystemExit(f"{contender}: {' '.join(command)} failed")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):8.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("contenders", nargs="+", metavar="TREE[@CORES]")
    parser.add_argument("--rounds", type=int, default=5)
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    options, arguments = parser.parse_args(words[:split]), words[split + 1 :]
    order = random.Random(2018)
    runs: dict[str, list[Run]] = {contender: [] for contender in options.contenders}
    for _ in range(options.rounds):
        for contender in order.sample(options.contenders, len(options.contenders)):
            runs[contender].append(run(contender, arguments))
    (first, *_) = runs.values()
    for contender, found in runs.items():
        print(contender)
        print("  wall s ", spread([one.wall for one in found]))
        print("  CPU s  ", spread([one.cpu for one in found]))
        print("  MiB    ", spread([one.memory for one in found]))
        ratios = [one.wall / base.wall for one, base in zip(found, first, strict=True)]
        print("  ratio  ", spread(ratios))


if __name__ == "__main__":
    main()
