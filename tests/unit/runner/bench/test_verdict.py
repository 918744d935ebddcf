"""Verdicts on records in tests/golden/bench (made up, one fault each) and on their variations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN

from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.record import State
from edgeshuffle.runner.bench.stats import summarize
from edgeshuffle.runner.bench.verdict import drift, judge

RECORDS = GOLDEN / "bench"


def read(name):
    return read_measured(RECORDS / f"{name}.jsonl").records


VALID = read("valid")[0]


def reasons(**changes):
    record = replace(VALID, **changes)
    return judge(record, summarize(record.blocks)).reasons


def alike(value, blocks=4, size=8):
    return ((value,) * size,) * blocks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("valid", []),
        ("one_block_disturbed", []),
        ("clock_sank", ["the clock sank from 1500 to 1200 MHz"]),
        ("drifted", ["the run's two halves differ by 9.5 % in the median, more than 5 %"]),
        ("spread", ["p96 is 2.86 times p50"]),
        ("died", ["the device failed before the end", "only 16 samples where 30 are needed"]),
    ],
)
def test_a_kept_record_is_judged_as_before(name, expected):
    for record in read(name):
        verdict = judge(record, summarize(record.blocks))
        assert verdict.valid == (not expected)
        assert str(verdict) == ("INVALID" if expected else "VALID")
        assert len(verdict.reasons) == len(expected)
        for reason, start in zip(verdict.reasons, expected, strict=True):
            assert reason.startswith(start)


@settings(max_examples=15, deadline=None)
@given(value=st.integers(1, 10**12), blocks=st.integers(4, 40))
def test_a_constant_record_is_valid(value, blocks):
    assert reasons(blocks=alike(value, blocks)) == ()


def test_too_few_samples():
    assert reasons(blocks=alike(5, 30, 1)) == ()
    (reason,) = reasons(blocks=alike(5, 29, 1))
    assert "only 29 samples where 30 are needed" in reason
    assert reasons(blocks=alike(5, 32, 32), mode="full") == ()
    (reason,) = reasons(blocks=alike(5, 31, 33), mode="full")
    assert "only 1023 samples where 1024 are needed" in reason


def state(clock):
    return State(clock_khz=clock, temperature_mc=None)


@pytest.mark.parametrize(
    ("before", "after", "sank"),
    [
        (1_000_000, 1_000_000, False),
        (1_000_000, 970_000, False),
        (1_000_000, 969_999, True),
        (970_000, 1_000_000, False),
        (None, 500_000, False),
        (1_000_000, None, False),
        (0, 500_000, False),
    ],
)
def test_a_clock_that_sinks(before, after, sank):
    found = reasons(before=state(before), after=state(after))
    assert [reason.startswith("the clock sank") for reason in found] == [True] * sank


@pytest.mark.parametrize(("slow", "drifted"), [(1000, False), (1050, False), (1051, True)])
@pytest.mark.parametrize("order", [1, -1])
def test_a_run_that_drifts(slow, drifted, order):
    found = reasons(blocks=(alike(1000, 3) + alike(slow, 3))[::order])
    assert [reason.startswith("the run's two halves differ by 5.1 %") for reason in found] == (
        [True] * drifted
    )


def test_drift_looks_at_halves():
    assert drift(((5, 9),)) == 0
    assert drift(alike(100, 2) + alike(700, 1) + alike(100, 2)) == 0
    assert drift(alike(100, 2) + alike(700, 1) + alike(110, 2)) == pytest.approx(0.1)
    assert drift(((100,), (100,), (900,), (100,), (100,), (100,))) == 0


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.tuples(*[st.integers(1, 10**9)] * 3), min_size=1, max_size=9))
def test_drift_is_the_same_backwards(blocks):
    assert drift(tuple(blocks)) == drift(tuple(reversed(blocks))) >= 0


@pytest.mark.parametrize(("slow", "spread"), [(1499, False), (1500, True)])
def test_a_spread_that_is_wide(slow, spread):
    blocks = ((1000,) * 7 + (slow,),) * 16
    found = reasons(blocks=blocks)
    assert [reason.startswith("p96 is 1.50 times p50") for reason in found] == [True] * spread
    found = reasons(blocks=((1000,) * 31 + (slow,),) * 32, mode="full")
    assert [reason.startswith("p99 is 1.50 times p50") for reason in found] == [True] * spread


def test_samples_too_few_to_tell_p99_are_not_judged_by_it():
    """Two disturbed inferences of 128 are what p99 of a quick run is."""
    quiet, disturbed = (1000,) * 8, (1000,) * 7 + (9000,)
    assert reasons(blocks=(quiet,) * 14 + (disturbed,) * 2) == ()
    assert reasons(blocks=(quiet,) * 10 + (disturbed,) * 6) != ()


def test_the_advice_is_never_what_was_done_already():
    drifting = (*alike(1000, 16, 32), *alike(1200, 16, 32))
    for mode, advised in (("quick", True), ("full", False), ("sustained", False)):
        (reason,) = reasons(blocks=drifting, mode=mode) or ("",)
        assert ("mode full" in reason) == advised


def test_every_reason_is_told_in_one_line_with_what_to_do():
    slow = ((1000,) * 5 + (9000,) * 3, (2000,) * 5 + (9000,) * 3)
    found = reasons(blocks=slow, before=state(2_000_000), after=state(1_000_000), finished=False)
    assert len(found) == 5
    for reason in found:
        assert "\n" not in reason
        assert "; " in reason
        assert not reason.endswith(".")


def throttled(before, *during):
    states = [State(clock_khz=None, temperature_mc=None, throttled=bits) for bits in during]
    start = State(clock_khz=None, temperature_mc=None, throttled=before)
    found = reasons(before=start, during=tuple(states), after=states[-1])
    return [reason for reason in found if "firmware" in reason]


@pytest.mark.parametrize(
    ("before", "during", "named"),
    [
        (None, (None, None), []),
        (0, (0, 0), []),
        (0, (0, 1 << 2, 0), ["throttling"]),
        (0, (0, 1 << 18), ["throttling"]),
        (1 << 18, (1 << 18, 1 << 18), []),
        (1 << 18, (1 << 18, 1 << 18 | 1 << 16), ["under-voltage"]),
        (0b10, (0, 0), ["a capped clock"]),
        (0, (0b1001,), ["under-voltage", "its soft temperature limit"]),
    ],
)
def test_what_the_firmware_admits(before, during, named):
    found = throttled(before, *during)
    assert [reason.split(";")[0].removeprefix("the firmware reports ") for reason in found] == named


def test_a_clock_that_sinks_in_between_counts():
    low = State(clock_khz=600_000, temperature_mc=None)
    high = State(clock_khz=1_500_000, temperature_mc=None)
    found = reasons(before=high, during=(high, low, high), after=high)
    assert any("from 1500 to 600 MHz" in reason for reason in found)
