"""Work for all cores, with the results in its order.

Threads, as what takes long (runtimes, NumPy on large arrays, Pillow) leaves the lock to others.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from types import TracebackType

    Item = TypeVar("Item")
    Result = TypeVar("Result")

# Each holds what one image needs in memory.
MOST: Final = 8


def core_count() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """As many threads as cores, MOST at most, until the block is left."""

    def __init__(self, count: int | None = None) -> None:
        self.count = count or min(core_count(), MOST)
        self._pool = ThreadPoolExecutor(self.count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def stream(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the items' order, with no more items taken than keep the threads busy.

        Raises what `work` raises, in its item's turn.
        """
        submitted = (self._pool.submit(work, item) for item in items)
        begun: deque[Future[Result]] = deque(itertools.islice(submitted, self.count + 1))
        while begun:
            found = begun.popleft().result()
            begun.extend(itertools.islice(submitted, 1))
            yield found

    def all(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Every result in the items' order; raises the first error."""
        return self.begin(work, items)()

    def begin(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Callable[[], list[Result]]:
        """As `all`, for later: what gives the results, when they are there."""
        begun = [self._pool.submit(work, item) for item in items]
        return lambda: [future.result() for future in begun]
