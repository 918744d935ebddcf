"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# Called with a stage, how much of it is done, and how much there is in all.
Progress = Callable[[str, int, int], None]


def in_steps(progress: Progress, stages: Sequence[str]) -> Progress:
    """With the place of each of these stages before its name, as in "2/5 rewrite"."""
    places = {stage: f"{place}/{len(stages)} {stage}" for place, stage in enumerate(stages, 1)}

    def tell(stage: str, done: int, total: int) -> None:
        progress(places.get(stage, stage), done, total)

    return tell


def silent(stage: str, done: int, total: int) -> None:
    """Tell no one."""
