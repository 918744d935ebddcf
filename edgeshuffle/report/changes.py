"""What became of each model file since another run, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.report.numbers import interval, number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.runner.bench.against import Change, CountChange, TimeChange
    from edgeshuffle.runner.bench.stats import Estimate


def time_change(change: TimeChange) -> Iterator[str]:
    """Sentences about one file's times."""
    same = "the same file" if change.same_file else "another file"
    yield (
        f"{change.name}: {number(change.ratio.value)} "
        f"({interval(change.ratio)}) times as long as the other run, {same}: "
        f"{_shown(change.ratio)}."
    )
    yield from _doubts(change)


def count_change(change: CountChange) -> Iterator[str]:
    """Sentences about one file's instructions, with the classes that changed."""
    same = "the same file" if change.same_file else "another file"
    if change.significant:
        shown = f"{percent(change.ratio)} {'more' if change.ratio > 1 else 'fewer'}"
    else:
        shown = "no difference"
    yield (
        f"{change.name}: {change.ratio:.4f} times the instructions of the "
        f"other run, {same}: {shown}."
    )
    if change.classes:
        parts = ", ".join(
            f"{name} {then / 1e6:.2f} to {now / 1e6:.2f}"
            for name, (then, now) in change.classes.items()
        )
        yield f"{change.name}: changed, in millions: {parts}."
    yield from _doubts(change)


def _shown(ratio: Estimate) -> str:
    if ratio.low is None or ratio.high is None:
        return "too few samples to tell a difference"
    if ratio.low > 1:
        return f"slower, by {percent(ratio.low)} at least"
    if ratio.high < 1:
        return f"faster, by {percent(ratio.high)} at least"
    return f"no difference shown, it may be {_range(ratio.low, ratio.high)}"


def _range(low: float, high: float) -> str:
    return f"from {percent(low)} faster to {percent(high)} slower"


def _doubts(change: Change) -> Iterator[str]:
    for reason in change.then.reasons:
        yield f"INVALID other run, {change.name}: {reason}."
