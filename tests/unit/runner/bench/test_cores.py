from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.runner.bench.cores import choose_cores

PHONE = [[0, 1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(
    ("wanted", "threads", "cores"),
    [
        ("fast", 1, (7,)),
        ("fast", 2, (4, 5, 6, 7)),
        ("fast", 5, (0, 1, 2, 3, 4, 5, 6, 7)),
        ("slow", 4, (0, 1, 2, 3)),
        ("all", 1, ()),
        ("0,4-5", 1, (0, 4, 5)),
    ],
)
def test_a_phone(wanted, threads, cores):
    assert choose_cores(wanted, PHONE, threads) == cores


@pytest.mark.parametrize("wanted", ["fast", "slow", "all"])
def test_equal_cores_are_left_to_the_kernel(wanted):
    assert choose_cores(wanted, [[0, 1, 2, 3]], 1) == ()


@pytest.mark.parametrize(
    "wanted", ["", "big", "8", "0-8", "5-4", "-1", "1,", "0;1", "\u0661", "0-99999"]
)
def test_what_names_no_core(wanted):
    with pytest.raises(UnknownNameError, match="cores"):
        choose_cores(wanted, PHONE, 1)


@pytest.mark.parametrize(
    "wanted", ["0-9999999999", "9" * 5000, "0-99999," * 5000 + "0", "\x1b[31m", "0-4\n"]
)
def test_what_would_cost_memory_is_refused_at_once(wanted):
    start = time.perf_counter()
    with pytest.raises(UnknownNameError, match="cores") as caught:
        choose_cores(wanted, PHONE, 1)
    assert time.perf_counter() - start < 1
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@given(
    wanted=st.sampled_from(["fast", "slow"]),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    threads=st.integers(1, 20),
)
def test_there_is_a_core_for_every_thread(wanted, sizes, threads):
    cores = iter(range(sum(sizes)))
    clusters = [[next(cores) for _ in range(size)] for size in sizes]
    assert len(choose_cores(wanted, clusters, threads)) >= min(threads, sum(sizes))
