from __future__ import annotations

import importlib
import os
import signal
import sys
import threading

import pytest

from edgeshuffle.host.signals import deferred, ending_once


def send(name):
    os.kill(os.getpid(), signal.Signals[name])


def ended_by(*names):
    with ending_once():
        for name in names:
            send(name)


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_first_signal_raises(name, status):
    with pytest.raises(SystemExit) as ended:
        ended_by(name)
    assert ended.value.code == status
    with pytest.raises(KeyboardInterrupt):
        ended_by("SIGINT")


@pytest.mark.parametrize(("name", "kind"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit)])
def test_what_native_code_makes_of_a_signal_is_still_that_signal(name, kind):
    def extension():
        try:
            send(name)
        except BaseException as err:
            raise ImportError("initialization failed") from err

    with pytest.raises(kind), ending_once():
        extension()
    with pytest.raises(ImportError), ending_once():
        raise ImportError("of its own")


@pytest.mark.parametrize(("name", "kind"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit)])
def test_a_signal_that_a_destructor_swallows_still_ends(name, kind, capsys):
    class Dying:
        def __del__(self):
            send(name)

    def waiting():
        Dying()
        threading.Event().wait(20)
        pytest.fail("nothing ended it")

    with pytest.raises(kind), ending_once():
        waiting()
    assert capsys.readouterr().err == ""


def test_a_signal_waits_for_the_end_of_an_import(tmp_path, monkeypatch):
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(0.1)\n"
        "whole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def waiting():
        importlib.import_module("interrupted")
        threading.Event().wait(20)
        pytest.fail("nothing ended it")

    with pytest.raises(SystemExit), ending_once():
        waiting()
    assert sys.modules.pop("interrupted").whole


def test_an_import_that_does_not_end_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("edgeshuffle.host.signals.UNWINDING_S", 0.1)
    (tmp_path / "endless.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(20)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit), ending_once():
        importlib.import_module("endless")
    assert "endless" not in sys.modules


def test_a_second_signal_does_not_break_the_cleaning_up():
    cleaned = []

    def interrupted():
        try:
            send("SIGTERM")
        finally:
            for name in ("SIGTERM", "SIGINT", "SIGHUP"):
                send(name)
            cleaned.append(True)

    with pytest.raises(SystemExit), ending_once():
        interrupted()
    assert cleaned


def test_a_signal_counts_again_when_the_first_ones_exception_was_lost(monkeypatch):
    monkeypatch.setattr("edgeshuffle.host.signals.UNWINDING_S", 0.0)
    with ending_once():
        for _ in range(2):
            with pytest.raises(SystemExit):
                send("SIGTERM")


def test_deferred_signals_come_at_the_end():
    done = []

    def work():
        with deferred():
            send("SIGTERM")
            send("SIGINT")
            done.append("inside")
        done.append("after")

    with pytest.raises(SystemExit) as ended, ending_once():
        work()
    assert ended.value.code == 143
    assert done == ["inside"]


def test_a_signal_that_was_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ended_by("SIGHUP")
        with deferred():
            send("SIGHUP")
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with ending_once(), deferred():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_may_clean_up_too():
    done = []

    def work():
        with deferred():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
