from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len

from edgeshuffle.report.plot import Axis, Bar, Bars, BarSeries, Curves, Point, Series
from edgeshuffle.report.plot.image_file import write_image
from edgeshuffle.report.plot.scale import Scale, shown_tick
from edgeshuffle.report.plot.text import text

MS = Axis(name="p50", unit="ms")
finite = st.floats(-1e9, 1e9)
positive = st.floats(1e-6, 1e9)


def bars(*values, groups=None, name="fp32"):
    groups = groups or tuple(f"g{index}" for index in range(len(values)))
    return Bars(title="Speed", value=MS, groups=groups, series=(BarSeries(name=name, bars=values),))


def curves(*points, log=False, joined=False):
    return Curves(
        title="Zoo",
        x=Axis(name="MACs", unit="M", log=log),
        y=Axis(name="top-1", unit="%"),
        series=(Series(name="v2", points=points),),
        joined=joined,
    )


def test_bars_are_as_long_as_their_values():
    shown = text(bars(Bar(value=1.0), Bar(value=2.0), Bar(value=4.0))).split("\n")
    assert shown[0] == "Speed: p50 (ms)"
    lengths = [line.count("█") for line in shown[1:]]
    assert lengths[2] == pytest.approx(2 * lengths[1], abs=1)
    assert lengths[2] == pytest.approx(4 * lengths[0], abs=2)
    assert [line.split()[-1] for line in shown[1:]] == ["1.000", "2.000", "4.000"]


def test_a_bar_shows_its_interval_and_a_missing_one_a_dash():
    first, second = text(bars(Bar(value=2.0, low=1.5, high=2.5), None)).split("\n")[1:]
    assert "├" in first
    assert first.index("├") < first.index("┤")
    assert first.endswith("2.000 (1.500-2.500)")
    assert second.split() == ["g1", "-"]


def test_bars_below_zero_go_the_other_way():
    up, down = text(bars(Bar(value=1.0), Bar(value=-1.0))).split("\n")[1:]
    assert down.index("█") < up.index("█")
    assert abs(up.count("█") - down.count("█")) <= 1


def test_series_are_named_beside_each_group():
    plot = Bars(
        title="Speed",
        value=MS,
        groups=("x0.5", "x1.0"),
        series=tuple(BarSeries(name=name, bars=(Bar(value=1.0),) * 2) for name in ("fp", "int8")),
    )
    shown = [line.split()[:2] for line in text(plot).split("\n")[1:]]
    assert [(row[0], row[-1][0]) for row in shown[::2]] == [("x0.5", "f"), ("x1.0", "f")]
    assert [row[0] for row in shown[1::2]] == ["int8", "int8"]


def test_points_stand_where_they_are():
    shown = text(curves(Point(x=0, y=0), Point(x=10, y=10), Point(x=5, y=5))).split("\n")
    drawn = {(row, line.index("o")) for row, line in enumerate(shown[1:19]) if "o" in line}
    (top, right), (middle, centre), (bottom, left) = sorted(drawn)
    assert (top, bottom) == (0, 17)
    assert middle in (8, 9)
    assert centre == pytest.approx((left + right) / 2, abs=1)


def test_equal_ratios_are_equal_steps_on_a_logarithmic_axis():
    shown = text(curves(*(Point(x=x, y=x) for x in (1, 10, 100)), log=True)).split("\n")
    left, centre, right = sorted(line.index("o") for line in shown[1:19] if "o" in line)
    assert centre == pytest.approx((left + right) / 2, abs=1)


def test_points_are_labelled_and_lines_drawn():
    made = (Point(x=1, y=1, label="x0.5"), Point(x=9, y=4, label="x2.0", low=3, high=5))
    shown = text(curves(*made, joined=True))
    assert all(words in shown for words in ("x0.5", "x2.0", "·", "│"))
    assert "·" not in text(curves(*made))


def test_labels_do_not_read_as_one():
    heap = [Point(x=n / 50, y=1, label="word") for n in range(50)]
    shown = text(curves(*heap, Point(x=0, y=0)))
    found = re.findall(r"(?:word)+", shown)
    assert len(found) > 2
    assert set(found) == {"word"}


def test_foreign_words_are_clean_and_plain_letters_enough():
    shown = text(bars(Bar(value=1.0), groups=("\x1b[31mred\u202e",)))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    from edgeshuffle.cli.terminal import _ERRORS

    plain = text(curves(Point(x=1, y=2, low=1, high=3), Point(x=2, y=3), joined=True)) + shown
    assert "?" not in plain.encode("ascii", _ERRORS).decode()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.text(max_size=50), st.none() | finite, finite), min_size=1, max_size=5),
    st.integers(40, 160),
)
def test_no_bars_are_wider_than_their_room(made, width):
    found = [None if v is None else Bar(value=v, low=min(v, w), high=max(v, w)) for _, v, w in made]
    shown = text(bars(*found, groups=tuple(name for name, *_ in made)), width)
    assert all(cell_len(line) <= width for line in shown.split("\n")[1:])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(positive, finite, st.text(max_size=9)), min_size=1, max_size=6),
    st.booleans(),
    st.integers(40, 160),
)
def test_every_point_is_on_the_plot(made, log, width):
    plot = curves(*(Point(x=x, y=y, label=words) for x, y, words in made), log=log)
    shown = text(plot, width).split("\n")
    assert all(cell_len(line) <= width for line in shown[1:])
    assert any("o" in line for line in shown[1:19])


@given(finite, finite, st.integers(2, 12))
@example(0.0, 5e-324, 2)
@example(3.0, 5e-324, 2)
@example(1e9, 1e9 + 1e-6, 6)
def test_ticks_are_few_round_and_within(low, high, most):
    scale = Scale((low, high))
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    slack = 1e-9 * (scale.high - scale.low)
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert len({shown_tick(tick, ticks) for tick in ticks}) == len(ticks)


@given(positive, positive, st.integers(2, 12))
@example(1e-300, 1e-300, 4)
def test_ticks_of_ratios_are_few_and_within(low, high, most):
    scale = Scale((low, high), log=True)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert all(scale.low <= tick <= scale.high for tick in ticks)


@pytest.mark.parametrize(
    "made",
    [
        lambda: bars(Bar(value=math.nan)),
        lambda: bars(Bar(value=1.0, low=-math.inf, high=2.0)),
        lambda: bars(Bar(value=1.0), groups=("a", "b")),
        lambda: curves(Point(x=0, y=1), log=True),
        lambda: curves(Point(x=1, y=math.inf)),
    ],
)
def test_what_has_no_place_is_refused(made):
    with pytest.raises(ValueError, match=r"no place|no bars"):
        made()


FILES = (
    bars(Bar(value=1.0, low=0.5, high=1.5), None, groups=("costs $x_1", "_hidden")),
    curves(Point(x=41, y=60, label="$x^$"), Point(x=591, y=75, low=74, high=76), log=True),
    curves(Point(x=1, y=1, label="--><script>"), Point(x=1, y=1)),
    Curves(title="None", x=MS, y=MS, series=()),
    Bars(title="None", value=MS, groups=(), series=()),
)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_plots_give_the_same_bytes(tmp_path, suffix):
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    write_image(first, FILES)
    write_image(second, FILES)
    assert first.read_bytes() == second.read_bytes()
    if suffix == ".png":
        with Image.open(first) as image:
            assert image.size == (1200, 675 * len(FILES))
            assert not image.info.keys() & {"Software", "Creation Time"}
    else:
        assert ET.parse(first).getroot().tag.endswith("svg")
        assert "date" not in first.read_text().lower()


def test_labels_of_a_file_stand_where_nothing_else_does(tmp_path):
    apart = curves(*(Point(x=n, y=n % 3, label=f"apart{n}") for n in range(6)))
    heap = curves(*(Point(x=1, y=1, label=f"heap{n:02}") for n in range(30)))
    write_image(tmp_path / "made.svg", [apart, heap])
    # matplotlib draws words as paths and has them in comments.
    words = re.findall(r"<!-- (apart|heap)\d+ -->", (tmp_path / "made.svg").read_text())
    assert words.count("apart") == 6
    assert 1 <= words.count("heap") <= 8


@pytest.mark.parametrize("plot", FILES[-2:])
def test_a_plot_of_nothing_is_empty(plot):
    assert text(plot).startswith("None: ")
