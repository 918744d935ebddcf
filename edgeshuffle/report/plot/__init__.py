"""Plots as data: `text` draws them for a terminal, `image_file` as SVG and PNG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is measured along an axis, and in which unit; `log` where ratios are what counts."""

    name: str
    unit: str = ""
    log: bool = False

    @property
    def label(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A value, and from where to where it may be."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class BarSeries:
    """A bar for each group, None where there is no value."""

    name: str
    bars: tuple[Bar | None, ...]


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Groups of bars beside each other, one of each series.

    Raises:
        ValueError: A series has not a bar for each group, a value is not finite, or the axis
            would be logarithmic, which bars from zero cannot be.
    """

    title: str
    value: Axis
    groups: tuple[str, ...]
    series: tuple[BarSeries, ...]

    def __post_init__(self) -> None:
        if any(len(one.bars) != len(self.groups) for one in self.series) or self.value.log:
            raise ValueError(f"no bars on a linear axis for each of {len(self.groups)} groups")
        _require_finite(self.values())

    def values(self) -> Iterator[float]:
        """All values with their ends."""
        for series in self.series:
            for bar in series.bars:
                if bar is not None:
                    yield from (end for end in (bar.value, bar.low, bar.high) if end is not None)


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where a value lies, from where to where it may be, and what it is of."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points that belong together, in order."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Points over two axes; `joined` within a series where what lies between has a meaning.

    Raises:
        ValueError: A value is not finite, or not above zero on a logarithmic axis.
    """

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    joined: bool = False

    def __post_init__(self) -> None:
        _require_finite(self.xs(), above_zero=self.x.log)
        _require_finite(self.ys(), above_zero=self.y.log)

    def xs(self) -> Iterator[float]:
        """All abscissas."""
        return (point.x for series in self.series for point in series.points)

    def ys(self) -> Iterator[float]:
        """All ordinates with their ends."""
        for series in self.series:
            for point in series.points:
                yield from (end for end in (point.y, point.low, point.high) if end is not None)


Plot = Bars | Curves


def _require_finite(values: Iterable[float], *, above_zero: bool = False) -> None:
    for value in values:
        if not math.isfinite(value) or (above_zero and value <= 0):
            raise ValueError(f"{value} has no place on the axis")
