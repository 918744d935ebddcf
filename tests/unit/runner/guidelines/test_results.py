"""Ratios to the first row, and the words that their intervals earn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN

from edgeshuffle.device.cycles import Cycles
from edgeshuffle.runner.bench.reading import Measured, read_measured
from edgeshuffle.runner.bench.record import Count
from edgeshuffle.runner.bench.stats import Estimate
from edgeshuffle.runner.guidelines.paper import GUIDELINES
from edgeshuffle.runner.guidelines.results import MARGIN, table_of, word_of

RECORD = read_measured(GOLDEN / "bench" / "version_2.jsonl").records[0]
EMULATED = replace(RECORD.device, emulated=True, counted=True)
KEPT = Path("build") / "bench" / "kept.jsonl"


def times(*ratios):
    """A record for each, so many times as slow, in blocks that vary by 0.2 %."""
    random = np.random.default_rng(0)
    return Measured(records=tuple(_slower(ratio, random) for ratio in ratios))


def _slower(ratio, random):
    blocks = []
    for block in RECORD.blocks:
        own = ratio * random.normal(1, 0.002)
        blocks.append(tuple(round(own * x) for x in block))
    return replace(RECORD, blocks=tuple(blocks))


def counts(*totals, spread=1.0):
    rest = {"dot": 0, "widening_mac": 0, "fmla": 0}
    return Measured(
        counts=tuple(
            Count(
                manifest_sha256="0" * 64,
                model="guidelines g1 x1",
                device=EMULATED,
                runtime="ort",
                runtime_version="1.32.0",
                precision="int8",
                file="g1_x1_0_int8.onnx",
                file_sha256="1" * 64,
                inferences=(
                    {"instructions": n, **rest},
                    {"instructions": round(spread * n), **rest},
                ),
            )
            for n in totals
        )
    )


def between(*ends):
    return [Estimate(value=(low + high) / 2, low=low, high=high) for low, high in ends]


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ([(1.01, 1.02), (1.06, 1.10)], "holds"),
        ([(1.01, 1.02), (1.02, 1.10)], "holds weakly"),
        ([(0.99, 1.02), (1.30, 1.31)], "holds weakly"),
        ([(0.96, 0.97), (1.30, 1.31)], "holds weakly"),
        ([(0.90, 0.96), (1.30, 1.31)], "holds weakly"),
        ([(0.90, 0.95), (1.30, 1.31)], "does not hold"),
        ([(0.99, 1.01), (0.98, 1.01)], "does not hold"),
        ([(0.80, 0.81), (0.70, 0.71)], "does not hold"),
        # Noise is no evidence: the second may be slower by more than the margin, or not.
        ([(0.99, 1.01), (0.90, 1.30)], "cannot be told"),
    ],
)
def test_a_word_goes_by_intervals(ratios, word):
    assert word_of(between(*ratios)) == word
    assert word_of(between(*reversed(ratios))) == word


def test_without_an_interval_nothing_is_told():
    assert word_of([*between((1.2, 1.3)), Estimate(value=1.2, low=None, high=None)]) == (
        "cannot be told"
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)), min_size=1, max_size=5))
def test_slower_rows_never_make_a_weaker_word(ends):
    words = ["does not hold", "cannot be told", "holds weakly", "holds"]
    given_ = [(min(pair), max(pair)) for pair in ends]
    slower = [(low * 1.2, high * 1.2) for low, high in given_]
    assert words.index(word_of(between(*slower))) >= words.index(word_of(between(*given_)))
    assert word_of(between(*((low * 4, high * 4) for low, high in given_))) == "holds"


def test_a_table_has_each_rows_time_over_the_firsts():
    table = table_of("g1", "x1", times(1, 1.5, 2, 3), KEPT)
    assert [row.name for row in table.rows] == [row.name for row in GUIDELINES["g1"].rows]
    assert [row.ratio.value for row in table.rows] == pytest.approx([1, 1.5, 2, 3], rel=0.01)
    assert all(row.ratio.low < row.ratio.value < row.ratio.high for row in table.rows[1:])
    assert [row.arm for row in table.rows] == [76.2, 72.9, 69.1, 57.6]
    assert (table.word, table.reasons) == ("holds", ())
    assert table.key == "g1_x1_ort_fp32"


def test_other_columns_have_the_figures_of_the_paper_and_small_has_none():
    measured = times(1, 1, 1, 1)
    assert [row.gpu for row in table_of("g1", "x4", measured, KEPT).rows] == [232, 206, 189, 163]
    assert table_of("g1", "x1", measured, KEPT).word == "does not hold"
    assert {(r.arm, r.gpu) for r in table_of("g1", "small", measured, KEPT).rows} == {(None, None)}


def test_g4_holds_where_less_is_faster():
    assert table_of("g4", "x1", times(1, 0.9, 0.95, 0.8), KEPT).word == "holds"
    assert table_of("g4", "x1", times(1, 1.1, 1.2, 1.3), KEPT).word == "does not hold"
    assert table_of("g1", "x1", times(1, 0.9, 0.95, 0.8), KEPT).word == "does not hold"


def test_counts_have_what_they_repeat_to_as_their_interval():
    table = table_of("g1", "x1", counts(1_000_000, 1_000_500, 1_002_000, 1_100_000), KEPT)
    second, third, fourth = (row.ratio for row in table.rows[1:])
    assert second.low < 1 < second.high
    assert third.low > 1
    assert fourth.value == 1.1
    assert table.word == "holds weakly"
    assert table_of("g1", "x1", counts(100, 110, 120, 130), KEPT).word == "holds"


def test_estimated_cycles_have_a_ratio_of_their_own():
    made = counts(100, 110, 120, 130).counts
    estimated = [
        replace(one, cycles=Cycles(estimate=n, core="a", llvm="19", modelled=1.0))
        for one, n in zip(made, (50, 60, 70, 45), strict=True)
    ]
    table = table_of("g1", "x1", Measured(counts=tuple(estimated)), KEPT)
    assert [row.cycles_ratio for row in table.rows] == [1, 1.2, 1.4, 0.9]
    assert table.word == "holds"
    assert {row.cycles for row in table_of("g1", "x1", times(1, 1, 1, 1), KEPT).rows} == {None}


def test_numbers_that_are_not_to_be_believed_say_whose_they_are():
    (reason, *others) = table_of("g1", "x1", counts(100, 110, 120, 130, spread=1.2), KEPT).reasons
    assert reason.startswith("1:1: inferences differ by 20")
    assert len(others) == 3


def test_the_margin_is_what_two_halves_of_a_run_may_differ_by():
    from edgeshuffle.runner.bench.verdict import DRIFT

    assert MARGIN == DRIFT
