"""What comes in through the door is typed, bounded and clean."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.untrusted import UntrustedError, clean, decode, first_line, quoted, read_bounded

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    name: str
    ns: tuple[int, ...]
    share: float | None = None


def test_a_value_comes_as_its_type():
    assert decode('{"name": "a", "ns": [1, 2], "more": 1}', Sample) == Sample(name="a", ns=(1, 2))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"name": 1, "ns": []}', '{"name": "a", "ns": ["1"]}',
     '{"name": "a", "ns": [1], "share": NaN}', '{"name": "a", "ns": [1.5]}',
     '{"name": "a", "ns": [1], "share": 1e999}', "\x00", '{"name": "\ud800"}'],
)  # fmt: skip
def test_anything_else_is_one_clean_line(text):
    with pytest.raises(UntrustedError) as caught:
        decode(text.encode("utf-8", "surrogatepass"), Sample)
    assert quoted(str(caught.value)) == str(caught.value)


def test_depth_and_size_are_bounded():
    with pytest.raises(UntrustedError):
        decode("[" * 100_000 + "]" * 100_000, Sample)
    with pytest.raises(UntrustedError, match="more than 10"):
        decode(" " * 11, Sample, max_bytes=10)


def test_strings_have_no_control_characters():
    found = decode(json.dumps({"name": "\x1b]0;owned\x07a\u202eb\u2028", "ns": []}), Sample)
    assert found.name == "]0;owned a b"


def test_a_file_is_not_read_beyond_its_bound(tmp_path):
    file = tmp_path / "big"
    file.write_bytes(b"x" * 11)
    assert read_bounded(file, 11) == b"x" * 11
    with pytest.raises(UntrustedError, match="more than 10 bytes"):
        read_bounded(file, 10)


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UntrustedError, match="a pipe or a device, no file"):
            read_bounded(path)
    with pytest.raises(IsADirectoryError):
        read_bounded(tmp_path)


@given(st.text())
def test_clean_text_is_printable_in_one_line(text):
    assert len(clean(text).splitlines()) <= 1
    assert "\x1b" not in clean(text)
    assert clean(clean(text)) == clean(text)
    assert len(quoted(text, 20)) <= 20


@given(ANYTHING)
def test_no_other_error_comes_through(value):
    with contextlib.suppress(UntrustedError):
        decode(json.dumps(value), Sample)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("\n  it is\x1b[31m wrong\nat line 3"), "it is [31m wrong"),
        (KeyError(), "KeyError"),
        (ValueError(" \n\t"), "ValueError"),
        (ValueError("x" * 50), "x" * 17 + "..."),
    ],
)
def test_a_librarys_error_is_told_by_its_first_line(error, said):
    assert first_line(error, 20) == said
