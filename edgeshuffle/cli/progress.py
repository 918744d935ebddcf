"""Progress on the terminal, and silence elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.progress import Progress


@contextmanager
def stages() -> Iterator[Progress]:
    """Yield `progress(stage, done, total)`: a bar a stage on stderr, if that is a terminal."""
    from rich import progress as rich_progress
    from rich.markup import escape

    from edgeshuffle.cli.console import Console
    from edgeshuffle.untrusted import quoted

    console = Console(stderr=True)
    with rich_progress.Progress(
        console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        tasks: dict[str, rich_progress.TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            stage = escape(quoted(stage))
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, visible=False)
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress
