from __future__ import annotations

import threading
import time

import pytest

from edgeshuffle.host.workers import Workers, core_count


def test_results_come_in_order_though_later_work_ends_first():
    with Workers(3) as workers:
        found = list(workers.stream(lambda n: (time.sleep(0.02 * (n % 3 == 0)), n)[1], range(12)))
        assert found == list(range(12))
        assert workers.all(lambda n: n * n, range(5)) == [0, 1, 4, 9, 16]


def test_no_more_is_taken_than_keeps_the_threads_busy():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    with Workers(2) as workers:
        stream = workers.stream(lambda n: n, items())
        assert next(stream) == 0
        assert len(taken) <= 5
        stream.close()
    assert len(taken) <= 5


def test_work_runs_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    with Workers(2) as workers:
        assert len(workers.all(lambda _: both.wait(), range(2))) == 2


def test_what_was_begun_is_done_beside_what_follows():
    both = threading.Barrier(2, timeout=10)
    with Workers(2) as workers:
        results = workers.begin(lambda n: (both.wait(), n)[1], [7])
        workers.all(lambda _: both.wait(), [0])
        assert results() == [7]


def test_an_error_comes_in_its_turn_and_ends_the_rest():
    def fail(number):
        if number == 2:
            raise ValueError(number)
        return number

    with Workers(2) as workers:
        stream = workers.stream(fail, range(1000))
        assert [next(stream), next(stream)] == [0, 1]
        with pytest.raises(ValueError, match="2"):
            next(stream)
        assert list(stream) == []


def test_there_is_a_core():
    assert core_count() >= 1
