"""The command line in a process of its own, for tests that interrupt it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from edgeshuffle.runner.bench.reading import read_measured


@dataclass
class Running:
    """A started command."""

    process: subprocess.Popen[str]

    def end(self):
        """Exit code, standard output, lines of standard error."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err.splitlines()


def start(*arguments):
    """Start `edgeshuffle` with these arguments."""
    command = [sys.executable, "-m", "edgeshuffle", *map(str, arguments)]
    return Running(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    )


def until(condition, seconds=90):
    """Wait for a condition; fails after that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept(artifact):
    """Records of the newest bench run of an artifact, as plain values."""
    newest = max((artifact.parent / "bench").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [asdict(record) for record in read_measured(newest).records]


def agents(board):
    """Numbers of the processes that hold a model on a stand-in."""
    return _processes(f"{board.base}/runs/.*--model")


def clean(board):
    """Whether a stand-in is as it was; waits for a while."""
    until(lambda: not board.left() and not _processes(f"{board.base}/runs"), 20)
    return True


def _processes(pattern):
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]
