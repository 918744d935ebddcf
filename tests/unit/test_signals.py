from __future__ import annotations

import os
import signal
import threading

import pytest

from edgeshuffle.signals import deferred

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Came(Exception):  # noqa: N818
    pass


@pytest.fixture(autouse=True)
def handlers():
    def end(number, _):
        raise Came(number)

    before = {number: signal.signal(number, end) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def clean_up(*numbers, done=None):
    """Clean up while these signals come; fails at the end where there is no list for it."""
    with deferred():
        for number in numbers:
            os.kill(os.getpid(), number)
        if done is None:
            raise ValueError("list is missing")
        done.append(1)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_waits_for_the_end_and_comes_once(number):
    done = []
    with pytest.raises(Came):
        clean_up(number, number, number, done=done)
    assert done == [1]


def test_afterwards_signals_come_at_once():
    with deferred():
        pass
    with pytest.raises(Came):
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_error_inside_is_not_lost():
    with pytest.raises(Came) as caught:
        clean_up(signal.SIGTERM)
    assert str(caught.value.__context__) == "list is missing"


def test_what_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with deferred():
        os.kill(os.getpid(), signal.SIGHUP)


def test_another_thread_may_clean_up_too():
    done = []

    def work():
        with deferred():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
