from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from edgeshuffle.errors import ArtifactError
from edgeshuffle.report.table import Column, Interval, ResultTable, WithError, Worded
from edgeshuffle.report.table.csv_file import write_csv
from edgeshuffle.report.table.text import text

LAYER = Column(key="layer", heading="layer", kind="text")
P50 = Column(key="p50_ns", heading="p50", unit="ms", divisor=1e6, spread="interval")
TOP1 = Column(key="top1", heading="Top-1", unit="%", form=".2f", spread="error")
MACS = Column(key="macs", heading="MACs", unit="M", divisor=1e6, form=".1f")
N = Column(key="n", heading="images")


def table(*columns, rows=(), **others):
    return ResultTable(key="made", title="A title", columns=columns, rows=rows, **others)


def lines(shown):
    return shown.split("\n")


def test_a_table_is_shown_in_its_units():
    made = table(
        LAYER,
        P50,
        TOP1,
        MACS,
        N,
        rows=(
            ("conv1", Interval(value=3.2e6, low=3.1e6, high=3.4e6), None, 146_000_000, 1000),
            ("fc", Interval(value=1e5, low=None, high=None), WithError(value=9.5, error=0.3), 1, 2),
        ),
        notes=("A note.",),
    )
    assert lines(text(made)) == [
        "A title",
        "layer       p50 ms     Top-1 %  MACs M  images",
        "──────────────────────────────────────────────",
        "conv1        3.200           -   146.0    1000",
        "       3.100-3.400",
        "fc          0.1000  9.50 ±0.30     0.0       2",
        "                 -",
        "A note.",
    ]


def test_programs_get_values_and_not_what_is_shown():
    made = table(
        LAYER,
        P50,
        TOP1,
        N,
        rows=(
            ("a", Interval(value=1 / 3, low=None, high=2.0), Worded(value=None, text="equal"), 3),
        ),
    )
    (record,) = made.records()
    assert record == {
        "layer": "a",
        "p50_ns": 1 / 3,
        "p50_ns_low": None,
        "p50_ns_high": 2.0,
        "top1": None,
        "top1_error": None,
        "n": 3,
    }
    assert "equal" in text(made)


def test_a_column_for_programs_is_not_shown():
    hidden = Column(key="device", heading="device", shown=False)
    made = table(LAYER, hidden, rows=(("conv1", "a board"),))
    assert "board" not in text(made)
    assert made.records() == [{"layer": "conv1", "device": "a board"}]


def test_a_rule_is_drawn_under_its_row():
    shown = lines(text(table(LAYER, rows=(("a",), ("b",)), rules=frozenset({0}))))
    assert shown.index("b") > shown.index("a") + 1


def test_columns_that_do_not_fit_go_on_below_with_the_names_again():
    many = [Column(key=f"k{index}", heading=f"column{index}") for index in range(12)]
    shown = text(table(LAYER, *many, rows=(("stage2.0.branch1", *range(100, 112)),)))
    assert shown.count("stage2.0.branch1") == 2
    assert all(str(100 + index) in shown and f"column{index}" in shown for index in range(12))
    assert max(map(len, lines(shown))) <= 80


def test_a_long_name_is_folded_and_not_cut():
    name = "/".join(f"module{index}" for index in range(12))
    shown = text(table(LAYER, P50, rows=((name, Interval(value=1e6, low=9e5, high=2e6)),)))
    assert "".join(line.split("  ")[0] for line in lines(shown)[3:]).strip() == name


names = st.text(max_size=60)
numbers = st.none() | st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(names, max_size=8),
    st.lists(st.tuples(names, numbers, numbers), max_size=4),
    st.integers(40, 200),
)
def test_no_table_is_wider_than_its_room_and_no_number_is_broken(headings, rows, width):
    few = [Column(key=f"k{index}", heading=name[:12]) for index, name in enumerate(headings)]
    cells = tuple((name, *([one, other] * 4)[: len(few)]) for name, one, other in rows)
    shown = text(table(LAYER, *few, rows=cells), width)
    assert all(cell_len(line) <= width for line in lines(shown))
    for row in cells:
        for cell in row[1:]:
            assert cell is None or not isinstance(cell, int) or str(cell) in shown


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ((LAYER, LAYER), ("a", "b")),
        ((P50, Column(key="p50_ns_low", heading="x")), (None, 1)),
        ((LAYER, N), ("a",)),
        ((N,), (WithError(value=1.0, error=0.1),)),
        ((P50,), (WithError(value=1.0, error=0.1),)),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(columns, row):
    with pytest.raises(ValueError, match=r"same key|shorter|no cells"):
        table(*columns, rows=(row,))


def test_a_csv_file_has_all_digits(tmp_path):
    made = table(
        LAYER,
        P50,
        Column(key="valid", heading="valid"),
        rows=(
            ('a "quoted", one\x1b[2J', Interval(value=1 / 3, low=None, high=2.5), True),
            (None, None, False),
        ),
    )
    file = tmp_path / "new" / "made.csv"
    write_csv(file, [made])
    assert file.read_bytes().decode() == (
        "layer,p50_ns,p50_ns_low,p50_ns_high,valid\n"
        f'"a ""quoted"", one [2J",{1 / 3!r},,2.5,true\n'
        ",,,,false\n"
    )
    assert list(file.parent.iterdir()) == [file]


def test_several_tables_share_a_csv_file(tmp_path):
    write_csv(
        tmp_path / "both.csv",
        [
            ResultTable(key="one", title="", columns=(LAYER, N), rows=(("a", 1),)),
            ResultTable(key="two", title="", columns=(LAYER, MACS), rows=(("b", 2),)),
        ],
    )
    read = list(csv.DictReader(io.StringIO((tmp_path / "both.csv").read_text())))
    assert read == [
        {"table": "one", "layer": "a", "n": "1", "macs": ""},
        {"table": "two", "layer": "b", "n": "", "macs": "2"},
    ]


def test_a_csv_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError):
        write_csv(tmp_path / "file" / "made.csv", [table(LAYER)])
