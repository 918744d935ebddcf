"""How numbers are shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeshuffle.runner.bench.stats import Estimate


def number(value: float) -> str:
    """Four digits that count, zeros too, and never an exponent for large values."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


def interval(estimate: Estimate, unit: float = 1) -> str:
    """From low to high, or a dash where there is none."""
    return interval_of(estimate.low, estimate.high, unit)


def interval_of(low: float | None, high: float | None, unit: float = 1) -> str:
    """The same, of its ends."""
    if low is None or high is None:
        return "-"
    return f"{number(low / unit)}-{number(high / unit)}"


def percent(ratio: float) -> str:
    """How far a ratio is from 1, without a sign: two digits that count."""
    return (
        f"{100 * abs(ratio - 1):.2g} %" if abs(ratio - 1) < 1 else f"{100 * abs(ratio - 1):.0f} %"
    )
