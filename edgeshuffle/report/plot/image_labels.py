"""Words beside the points of a drawn plot, where nothing else stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from edgeshuffle.report.plot import Curves
from edgeshuffle.untrusted import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edgeshuffle.report.plot import Plot, Point

_SIZE: Final = 8
# Of a mark, in points, with a little room around it.
_MARK: Final = 4.5
# Where words begin or end beside a point, in points, and how they are aligned there.
_PLACES: Final = (
    (6, 0, "left", "center"),
    (-6, 0, "right", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (6, 7, "left", "center"),
    (6, -7, "left", "center"),
    (-6, 7, "right", "center"),
    (-6, -7, "right", "center"),
)


def label_points(figure: Figure, plots: Sequence[Plot]) -> None:
    """Label every point that has room for its words; `plots` are those of the figure's axes."""
    # Only now it is known where everything stands, and labels shall not move it.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, plot in zip(figure.axes, plots, strict=True):
        if isinstance(plot, Curves) and any(point.label for point in _points(plot)):
            _label(axes, plot)


def _label(axes: Axes, plot: Curves) -> None:
    from matplotlib.transforms import Bbox

    figure = cast("Figure", axes.figure)
    around = _MARK * figure.dpi / 72
    points = _points(plot)
    places = axes.transData.transform([(point.x, point.y) for point in points])
    taken = [Bbox.from_extents(x - around, y - around, x + around, y + around) for x, y in places]
    legend = axes.get_legend()
    if legend is not None:
        taken.append(legend.get_window_extent())
    for point in points:
        for right, up, *alignment in _PLACES if point.label else ():
            text = _words(axes, point.label, (point.x, point.y), (right, up), *alignment)
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _points(plot: Curves) -> list[Point]:
    return [point for series in plot.series for point in series.points]


def _words(
    axes: Axes,
    words: str,
    at: tuple[float, float],
    beside: tuple[float, float],
    horizontal: Any,
    vertical: Any,
) -> Any:
    return axes.annotate(
        clean(words),
        at,
        beside,
        textcoords="offset points",
        fontsize=_SIZE,
        ha=horizontal,
        va=vertical,
    )
