"""Records files: what is written reads back the same, and nothing else reads."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN

from edgeshuffle.errors import ArtifactError
from edgeshuffle.runner.bench import events
from edgeshuffle.runner.bench.events import from_line, to_line
from edgeshuffle.runner.bench.history import History
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.record import Energy, OperatorTime, State
from edgeshuffle.untrusted import clean

RECORDS = GOLDEN / "bench"
NEW = (RECORDS / "version_2.jsonl").read_bytes()
LINES = NEW.splitlines(keepends=True)
OLD = (RECORDS / "valid.jsonl").read_text().splitlines()[0]
RUN = from_line(LINES[0])
(RECORD,) = read_measured(RECORDS / "version_2.jsonl").records

natural = st.integers(0, 2**53)
maybe = st.none() | natural
times = st.lists(st.integers(1, 10**15), min_size=1, max_size=5).map(tuple)
index = st.integers(0, 1000)
text = st.text(max_size=20).map(clean)
states = st.builds(
    State,
    clock_khz=maybe,
    temperature_mc=st.none() | st.integers(-(2**31), 2**31),
    throttled=maybe,
)
power = st.floats(0, 1e9)
happenings = st.one_of(
    st.builds(
        replace,
        st.just(RUN),
        model=text,
        seed=natural,
        cores=st.lists(st.integers(0, 65535), max_size=4).map(tuple),
        device=st.builds(replace, st.just(RUN.device), cpu=text, load=st.none() | st.floats(0, 99)),
    ),
    st.builds(
        events.Loaded,
        file=index,
        runtime_version=text,
        load_ns=natural,
        first_ns=natural,
        rss_before_bytes=maybe,
        started=text,
    ),
    st.builds(events.WarmedUp, file=index, warmup_ns=times, state=states),
    st.builds(events.Block, file=index, index=natural, samples_ns=times, state=states),
    st.builds(
        events.Finished,
        file=index,
        state=states,
        peak_rss_bytes=natural,
        operators=st.lists(st.builds(OperatorTime, name=text, op=text, ns=natural), max_size=2).map(
            tuple
        ),
        energy=st.none()
        | st.builds(
            Energy,
            idle_mw=power,
            busy_mw=power,
            inferences=st.integers(1, 2**53),
            seconds=st.floats(0, 1e6),
        ),
    ),
    st.builds(events.Resumed, started=text),
    st.builds(events.Ended, reason=st.sampled_from(["finished", "interrupted"])),
)


@settings(max_examples=150, deadline=None)
@given(event=happenings)
def test_an_event_is_one_line_that_reads_back_the_same(event):
    line = to_line(event)
    assert len(line.splitlines()) == 1
    assert from_line(line) == event


def test_the_format_of_kept_events_still_reads_and_writes():
    assert b"".join(to_line(from_line(line)) for line in LINES) == NEW
    assert len(RECORD.blocks) == len(RECORD.during) == 4
    assert RECORD.finished
    assert (RECORD.device.hostname, RECORD.device.kernel) == ("pi", "6.12.25")


def test_records_of_version_1_are_read():
    record, _ = read_measured(RECORDS / "valid.jsonl").records
    assert {**asdict(record), "blocks": None}.items() >= {
        ("model", "made_up"),
        ("precision", "fp32"),
        ("minutes", 0.0),
    }
    assert record.device.hostname is None


def refused(tmp_path, content):
    """The one line that says so."""
    path = tmp_path / "records.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ArtifactError) as caught:
        read_measured(path)
    message = str(caught.value)
    assert "holds no records of a bench" in message
    assert message.isprintable()
    assert len(message) < 1000
    return message


def changed(number, **changes):
    """The kept events, one of them with other values."""
    lines = [json.loads(line) for line in LINES]
    ((name, value),) = lines[number].items()
    lines[number] = {name: {**value, **changes}}
    return "".join(json.dumps(line) + "\n" for line in lines)


FIRST_BLOCK = 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x00" * 100,
        b"\xff\xfe",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"run":' + b"[" * 100_000 + b"\n",
        b'{"run":{}}\n',
        LINES[0],
        b"".join(LINES[:3]),
        b"".join(LINES[1:]),
        LINES[0] * 2,
        LINES[0] + b"".join(LINES[3:]),
        b"".join(LINES[:5]) + b"what\n" + b"".join(LINES[5:]),
        b"".join(LINES[:4]) + b"".join(LINES[5:]),
        NEW + LINES[FIRST_BLOCK],
        LINES[0] + b'{"counted":{"file":0,"runtime_version":"1","inferences":[]}}\n',
        LINES[0] + b'{"loaded":null}\n',
        LINES[0] + b'{"ended":{"reason":"finished"},"resumed":{"started":""}}\n',
        changed(0, mode="slow"),
        changed(0, mode=1),
        changed(0, seed=-1),
        changed(0, seed="1"),
        changed(0, seed=10**30),
        changed(0, threads=0),
        changed(0, files=[]),
        changed(0, device=None),
        changed(0, device={"machine": "x"}),
        changed(0, schema_version=3),
        changed(FIRST_BLOCK, samples_ns=[]),
        changed(FIRST_BLOCK, samples_ns=[1, 2]),
        changed(FIRST_BLOCK, samples_ns=[0] * 8),
        changed(FIRST_BLOCK, samples_ns=[-1] * 8),
        changed(FIRST_BLOCK, samples_ns=[1.5] * 8),
        changed(FIRST_BLOCK, samples_ns=[True] * 8),
        changed(FIRST_BLOCK, samples_ns=[10**16] * 8),
        changed(FIRST_BLOCK, samples_ns=None),
        changed(FIRST_BLOCK, file=1),
        changed(FIRST_BLOCK, index=1),
        changed(FIRST_BLOCK, state={}),
        changed(FIRST_BLOCK, state={"clock_khz": 10**400, "temperature_mc": None}),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, content):
    refused(tmp_path, content)


def old(**changes):
    return json.dumps({**json.loads(OLD), **changes}) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        OLD[:-10],
        old(schema_version=3),
        old(blocks=[]),
        old(blocks=[[]]),
        old(blocks=[[1], []]),
        old(blocks=[[1, 2], [3]]),
        old(blocks=[[0, 0]]),
        old(blocks=[1, 2]),
        old(mode="x"),
        old(seed=-1),
        old(before={}),
        old(during=[None]),
        old(energy={"idle_mw": 1.0, "busy_mw": 1.0, "inferences": 0, "seconds": 1.0}),
        json.dumps({key: value for key, value in json.loads(OLD).items() if key != "model"}),
        json.dumps({**json.loads(OLD), "inferences": [{"instructions": 1}]}),
    ],
)
def test_bad_records_of_version_1_are_refused_in_one_line(tmp_path, content):
    refused(tmp_path, content)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="it is no file"):
        read_measured(tmp_path)
    with pytest.raises(ArtifactError, match="There is no file"):
        read_measured(tmp_path / "none.jsonl")


def test_the_line_is_named(tmp_path):
    assert "(line 4: " in refused(tmp_path, changed(FIRST_BLOCK, file="x"))


@pytest.mark.parametrize("length", range(0, len(NEW), 97))
def test_a_file_that_was_cut_off_anywhere_has_all_whole_blocks(tmp_path, length):
    path = tmp_path / "records.jsonl"
    path.write_bytes(NEW[:length])
    whole = [line for line in NEW[:length].splitlines(keepends=True) if line.endswith(b"\n")]
    blocks = sum(line.startswith(b'{"block"') for line in whole)
    if not blocks:
        refused(tmp_path, NEW[:length])
        return
    (record,) = read_measured(path).records
    assert record.blocks == RECORD.blocks[:blocks]


def test_a_block_that_was_written_twice_counts_once():
    history = History()
    for line in (*LINES[:5], LINES[4], LINES[3], *LINES[5:]):
        history.add(from_line(line))
    assert history.records() == (RECORD,)


def test_ten_minutes_of_a_millisecond_fit(tmp_path):
    path = tmp_path / "records.jsonl"
    block = json.loads(LINES[FIRST_BLOCK])["block"]
    with path.open("wb") as file:
        file.write(b"".join(LINES[:FIRST_BLOCK]))
        for number in range(600_000 // 32):
            line = {"block": {**block, "index": number, "samples_ns": [1_000_000] * 32}}
            file.write(json.dumps(line).encode() + b"\n")
    (record,) = read_measured(path).records
    assert len(record.blocks) == 600_000 // 32


def test_an_endless_line_is_refused(tmp_path):
    message = refused(tmp_path, b'{"run":' + b" " * (events.MAX_LINE + 10))
    assert "more than" in message


@settings(max_examples=200, deadline=None)
@given(
    number=st.integers(0, len(LINES) - 1),
    at=st.integers(0, 5000),
    junk=st.binary(max_size=6),
)
def test_bytes_that_were_changed_end_in_records_or_one_error(number, at, junk, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "changed.jsonl"
    line = LINES[number]
    at %= len(line)
    content = (*LINES[:number], line[:at] + junk + line[at + len(junk) :], *LINES[number + 1 :])
    path.write_bytes(b"".join(content))
    with contextlib.suppress(ArtifactError):
        assert read_measured(path).records


def test_foreign_text_is_clean(tmp_path):
    path = tmp_path / "records.jsonl"
    device = {**asdict(RUN.device), "cpu": "a\x1b]0;title\x07b\u202ec\nd"}
    path.write_text(changed(0, device=device, model="\x1b[31mm"))
    (record,) = read_measured(path).records
    assert record.device.cpu.isprintable()
    assert record.model.isprintable()
