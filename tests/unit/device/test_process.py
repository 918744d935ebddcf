"""Replies are bounded in time and size, whatever the other end does."""

from __future__ import annotations

import sys
import time
import tracemalloc

import pytest

from edgeshuffle.device.process import JsonProcess
from edgeshuffle.errors import DeviceError


@pytest.fixture
def spawn():
    started = []

    def start(code, **options):
        started.append(JsonProcess([sys.executable, "-uc", code], "over there", **options))
        return started[-1]

    yield start
    for process in started:
        process.close()


def test_an_endless_line_is_cut_off(spawn):
    process = spawn("while True: print('x' * 65536, end='')")
    with pytest.raises(DeviceError, match="more than 67108864 bytes in one line"):
        process.reply(60)


def test_a_line_that_never_ends_is_timed_out(spawn):
    process = spawn("import time\nwhile True: print('x', end=''); time.sleep(0.01)")
    start = time.monotonic()
    with pytest.raises(DeviceError, match="no reply within 1 s"):
        process.reply(1)
    assert time.monotonic() - start < 5


def test_a_greeting_without_end_is_timed_out(spawn):
    process = spawn("while True: print('welcome')", greeting="word")
    with pytest.raises(DeviceError, match="no reply within 1 s"):
        process.reply(1)


def test_a_greeting_is_skipped(spawn):
    code = "print('Welcome!'); print('{\"a\": 0}'); print('word'); print('{\"a\": 1}')"
    assert spawn(code, greeting="word").reply(60) == {"a": 1}


def test_what_is_said_on_stderr_without_end_takes_no_memory(spawn):
    code = "import sys\nfor _ in range(500): sys.stderr.write('x' * 65535 + '\\n')\nprint('{}')"
    process = spawn(code)
    tracemalloc.start()
    assert process.reply(60) == {}
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_process_that_reads_nothing_is_timed_out(spawn):
    process = spawn("import time; time.sleep(60)")
    with pytest.raises(DeviceError, match="read nothing for 1 s"):
        process.ask({"image": "x" * 10**6}, 1)


def test_what_nobody_asked_for_is_an_error(spawn):
    process = spawn('print(\'{"a": 1}\\n{"a": 2}\')\nimport time; time.sleep(60)')
    assert process.reply(60) == {"a": 1}
    with pytest.raises(DeviceError, match="without being asked"):
        process.ask({"cmd": "state"}, 60)


@pytest.mark.parametrize("said", ["\x1b]0;owned\x07hello", "\x1b[31mred\u202e"])
def test_what_a_terminal_would_obey_is_not_quoted(spawn, said):
    with pytest.raises(DeviceError) as reply:
        spawn(f"print({said!r})").reply(60)
    with pytest.raises(DeviceError) as error:
        spawn(f"import sys; sys.exit({said!r})").reply(60)
    for caught in (reply, error):
        assert str(caught.value).isprintable()
        assert "hello" in str(caught.value) or "red" in str(caught.value)


@pytest.mark.parametrize(
    "said", ["NaN", '{"a": NaN}', '{"a": 1', "[" * 100_000, '{"a": ' * 10_000, "\ud800", ""]
)
def test_no_json_object(spawn, said):
    code = f"import sys; sys.stdout.buffer.write({said.encode(errors='surrogatepass')!r} + b'\\n')"
    with pytest.raises(DeviceError, match="no JSON object"):
        spawn(code).reply(60)
