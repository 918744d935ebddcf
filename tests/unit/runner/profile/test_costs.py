"""From measurements to what each operator costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeshuffle.device.cycles import Cycles
from edgeshuffle.device.replies import OperatorTime, Ran, State
from edgeshuffle.runner.profile import costs

TIMES = st.lists(st.integers(0, 10**9), min_size=1, max_size=50)


def quiet(*_):
    """A progress that shows nothing."""


@dataclass
class Board:
    """A session whose model takes 1 ms for each operator that was not cut off, and is disturbed."""

    operators: int = 4
    disturbed: float = 0.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def samples(self, n):
        noise = self.random.exponential(self.disturbed, n)
        times = tuple(round(1e6 * (0.1 + self.operators + one)) for one in noise)
        state = State(peak_rss_bytes=0, clock_khz=None, temperature_mc=None)
        return Ran(samples_ns=times, state=state)

    def count(self, n):
        return tuple({"instructions": 1000 * self.operators + 7 + index} for index in range(n))

    def cycles(self):
        return Cycles(estimate=400 * self.operators + 3, core="a", llvm="19", modelled=1.0)

    def profile(self, n):
        # A profiler that adds 5 us to every operator.
        return tuple(
            OperatorTime(name=f"n{index}", op="Conv", ns=1_005_000, order=index)
            for index in reversed(range(self.operators))
        )

    def keep(self, operators):
        def cut(session):
            session.operators = operators

        return cut


def test_times_of_cut_models_give_each_operators():
    board = Board()
    cuts = [board.keep(count) for count in range(5)]
    found = costs.timed_cuts(board, cuts, board.keep(4), 0, quiet)
    assert found == costs.Costs(whole=4_100_000, operators=[1_000_000] * 4, empty=100_000)


def test_counts_of_cut_models_give_each_operators_and_its_cycles_if_asked_for():
    board = Board()
    cuts = [board.keep(count) for count in range(5)]
    found = costs.counted_cuts(board, cuts, quiet)
    assert found == costs.Costs(whole=4007, operators=[1000] * 4, empty=7)
    found = costs.counted_cuts(Board(), cuts, quiet, cycles=True)
    assert found.cycles == costs.Costs(whole=1603, operators=[400] * 4, empty=3)


def test_noise_makes_no_operator_faster_than_nothing():
    board = Board(disturbed=3.0)
    cuts = [board.keep(count) for count in range(5)]
    found = costs.timed_cuts(board, cuts, board.keep(4), 0, quiet)
    assert all(time >= 0 for time in found.operators)
    assert sum(found.operators) + found.empty == max(
        sum(found.operators[:count]) + found.empty for count in range(5)
    )


def test_the_same_seed_measures_in_the_same_order():
    def order(seed):
        board = Board()
        seen = []
        cuts = [lambda _, count=count: seen.append(count) for count in range(9)]
        costs.timed_cuts(board, cuts, lambda _: seen.append("whole"), seed, quiet)
        return seen

    assert order(1) == order(1) != order(2)
    assert len(order(1)) == 10 * costs.ROUNDS


def test_instructions_of_cut_models_give_each_operators():
    board = Board()
    found = costs.counted_cuts(board, [board.keep(count) for count in range(5)], quiet)
    assert found == costs.Costs(whole=4007, operators=[1000] * 4, empty=7)


def test_what_a_profiler_adds_is_taken_off():
    board = Board(operators=100)
    board.samples = lambda n: Ran(
        samples_ns=(100_000_000,) * n,
        state=State(peak_rss_bytes=0, clock_khz=None, temperature_mc=None),
    )
    found, told = costs.profiled(board, lambda told: sorted(told, key=lambda one: one.order), quiet)
    assert found.overhead == 5000
    assert sum(found.operators) == found.whole == 100_000_000
    assert [one.name for one in told[:2]] == ["n0", "n1"]


@settings(deadline=None)
@given(TIMES, st.integers(0, 10**9))
def test_the_surplus_goes_evenly_and_nothing_below_zero(times, whole):
    taken = costs._surplus(times, whole)
    left = sum(max(0, time - taken) for time in times)
    assert left <= max(whole, sum(times))
    if sum(times) <= whole:
        assert taken == 0
    else:
        # Whole nanoseconds are taken.
        assert whole - len(times) <= left <= whole


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_ascending_values_are_the_nearest(values):
    found = costs._ascending(values)
    assert len(found) == len(values)
    assert all(a <= b * (1 + 1e-9) + 1e-9 for a, b in pairwise(found))
    assert np.isclose(sum(found), sum(values))
    ordered = sorted(values)
    assert costs._ascending(ordered) == ordered
