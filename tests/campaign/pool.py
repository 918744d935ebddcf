"""Workers that share the cases between the processor's cores."""

from __future__ import annotations

import collections
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaign.seeds import Seeds

TESTS = Path(__file__).resolve().parents[1]


def cores() -> int:
    """How many there are for this process, which may not be the only one that runs tests."""
    testing = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT") or 1)
    return max(1, len(os.sched_getaffinity(0)) // testing)


class Pool:
    """One worker a core, each with one case at a time."""

    def __init__(self, seeds: Seeds, log: Path) -> None:
        paths = (str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")]))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "campaign.worker", str(seeds.folder)]
        with log.open("ab") as errors:
            self._workers = [
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    bufsize=0,
                )
                for _ in range(cores())
            ]

    def run(self, family: str, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
        """What became of each case, in the order in which they end."""
        with selectors.DefaultSelector() as busy:
            for worker in self._workers:
                if self._give(worker, family, numbers):
                    busy.register(worker.stdout, selectors.EVENT_READ, worker)
            while busy.get_map():
                for key, _ in busy.select():
                    worker = key.data
                    line = worker.stdout.readline()
                    assert line, f"a worker ended with {worker.wait()}"
                    yield json.loads(line)
                    if not self._give(worker, family, numbers):
                        busy.unregister(worker.stdout)

    @staticmethod
    def _give(worker: subprocess.Popen[bytes], family: str, numbers: Iterator[int]) -> bool:
        number = next(numbers, None)
        if number is None:
            return False
        worker.stdin.write(f"{family} {number}\n".encode())
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stdin.close()
            worker.stdout.close()
        for worker in self._workers:
            worker.wait(60)


def counted(first: int, count: int, deadline: float | None = None) -> Iterator[int]:
    """`count` numbers from `first`, or as many as there is time for."""
    number = first
    while number < first + count if deadline is None else time.monotonic() < deadline:
        yield number
        number += 1


def summary(results: list[dict[str, Any]]) -> str:
    """Failures of one cause in one line, the most frequent ones first, with one case of each."""
    causes: dict[tuple[str, str], list[tuple[str, int, str]]] = collections.defaultdict(list)
    for found in results:
        for failure in found["failures"]:
            example = (found["family"], found["seed"], failure["detail"])
            causes[failure["kind"], failure["where"]].append(example)
    lines = []
    for (kind, where), examples in sorted(causes.items(), key=lambda cause: -len(cause[1])):
        family, seed, detail = examples[0]
        seen = f"{len(examples)} x {kind} [{where}]: {detail}"
        lines.append(f"{seen}\n    python -m campaign {family} {seed}")
    return "\n".join(lines)
