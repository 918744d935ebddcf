"""Limits on what files and options from outside may cost."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Pixels a side of a network's input; memory grows with its square.
MAX_INPUT_SIDE: Final = 2048
# Images that a model file may read at once.
MAX_BATCH: Final = 256
_STATM: Final = Path("/proc/self/statm")
_DATA: Final = 5


@contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Within, this process gets no more than `more` bytes on top of what it has (RLIMIT_DATA).

    Asking for more fails there as if the machine had no more: Python raises MemoryError, libraries
    what they make of it. It holds for all threads. Where the system cannot tell or set it, there is
    no limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        limit = int(_STATM.read_text().split()[_DATA]) * resource.getpagesize() + more
    except (OSError, ValueError, IndexError):
        yield
        return
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
