"""Plots as SVG and PNG: the same plots give the same bytes, whatever the user's matplotlib does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from edgeshuffle.errors import needs_extra
from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.report.plot import Bars, Curves
from edgeshuffle.report.plot.image_labels import label_points
from edgeshuffle.report.plot.scale import Scale, shown_tick
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from edgeshuffle.report.plot import Axis, Plot

SUFFIXES: Final = (".svg", ".png")
# Inches of one plot; several stand below each other.
_WIDE: Final = 8.0
_HIGH: Final = 4.5
_TICKS: Final = 10
# Ids within an SVG are random without a salt; foreign text may have dollars, which are no formulas.
_SETTINGS: Final = {
    "svg.hashsalt": "edgeshuffle",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "figure.dpi": 150.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
}
# What would change with the day or the version of matplotlib.
_METADATA: Final[dict[str, dict[str, Any]]] = {
    ".svg": {"Date": None, "Creator": "edgeshuffle"},
    ".png": {"Software": None},
}


def write_image(file: Path, plots: Sequence[Plot]) -> None:
    """Draw all plots into one .svg or .png file, which appears whole or not at all.

    Raises MissingExtraError without matplotlib, and ArtifactError where the file cannot be written.
    """
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    suffix = file.suffix.lower()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", _SETTINGS))
        figure = Figure(figsize=(_WIDE, _HIGH * len(plots)), layout="constrained")
        for index, plot in enumerate(plots):
            axes = figure.add_subplot(len(plots), 1, index + 1)
            axes.set_title(clean(plot.title))
            if isinstance(plot, Bars):
                _bars(axes, plot)
            else:
                _curves(axes, plot)
        label_points(figure, plots)
        with atomic_file(file) as temporary:
            figure.savefig(temporary, format=suffix.removeprefix("."), metadata=_METADATA[suffix])


def require() -> None:
    """Raise MissingExtraError without matplotlib, before anything is measured for a plot."""
    with needs_extra("Drawing a plot into a file", "plot"):
        import matplotlib.figure  # noqa: F401


def _bars(axes: Axes, plot: Bars) -> None:
    thick = 0.8 / max(len(plot.series), 1)
    for index, series in enumerate(plot.series):
        found = [(place, bar) for place, bar in enumerate(series.bars) if bar is not None]
        axes.bar(
            [place + (index + 0.5) * thick - 0.4 for place, _ in found],
            [bar.value for _, bar in found],
            thick,
            yerr=_errors([(bar.value, bar.low, bar.high) for _, bar in found]),
            capsize=3,
            label=clean(series.name),
        )
    axes.set_xticks(range(len(plot.groups)), [clean(group) for group in plot.groups])
    if sum(map(len, plot.groups)) > 60:
        axes.tick_params("x", rotation=45)
    axes.set_ylabel(plot.value.label)
    _legend(axes, len(plot.series))


def _curves(axes: Axes, plot: Curves) -> None:
    for series, mark in zip(plot.series, "os^Dv*PX" * len(plot.series), strict=False):
        axes.errorbar(
            [point.x for point in series.points],
            [point.y for point in series.points],
            yerr=_errors([(point.y, point.low, point.high) for point in series.points]),
            fmt=f"{mark}{'-' if plot.joined else ''}",
            capsize=3,
            label=clean(series.name),
        )
    axes.margins(0.08)
    _axis(axes, "x", plot.x, plot.xs())
    _axis(axes, "y", plot.y, plot.ys())
    _legend(axes, len(plot.series))


def _axis(axes: Axes, which: Literal["x", "y"], axis: Axis, values: Iterable[float]) -> None:
    axes.set(**{f"{which}label": axis.label})
    if axis.log:
        ticks = Scale(values, log=True).ticks(_TICKS)
        axes.set(**{f"{which}scale": "log"})
        # Powers of ten are formulas to matplotlib, and say little within one decade.
        axes.set(**{f"{which}ticks": ticks})
        axes.set(**{f"{which}ticklabels": [shown_tick(tick, ticks) for tick in ticks]})
        axes.tick_params(which, which="minor", bottom=False, left=False, labelbottom=False)
        axes.tick_params(which, which="minor", labelleft=False)


def _errors(
    values: Sequence[tuple[float, float | None, float | None]],
) -> tuple[list[float], list[float]] | None:
    """Down and up from each value; None where no value has ends."""
    if all(low is None or high is None for _, low, high in values):
        return None
    return (
        [math.nan if low is None else max(0.0, value - low) for value, low, _ in values],
        [math.nan if high is None else max(0.0, high - value) for value, _, high in values],
    )


def _legend(axes: Axes, series: int) -> None:
    if series > 1:
        handles, names = axes.get_legend_handles_labels()
        axes.legend(handles, names)
