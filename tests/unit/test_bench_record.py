from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import artifact

from edgeshuffle.bench.record import Record, State, records_file, write
from edgeshuffle.errors import ArtifactError

GOLDEN = Path(__file__).parent.parent / "golden" / "bench"
LINE = (GOLDEN / "valid.jsonl").read_text().splitlines()[0]
RECORD = Record.from_json(LINE)
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)

whole = st.integers(0, 2**63)
maybe = st.none() | whole
states = st.builds(State, clock_khz=maybe, temperature_mc=maybe)
samples = st.lists(whole, max_size=5).map(tuple)
records = st.builds(
    replace,
    st.just(RECORD),
    model=st.text(),
    device=st.builds(
        replace, st.just(RECORD.device), cpu=st.text(), load=st.none() | st.floats(0, 99)
    ),
    warmup_ns=samples,
    blocks=st.lists(samples, max_size=5).map(tuple),
    rss_before_bytes=maybe,
    peak_rss_bytes=maybe,
    before=states,
    after=st.none() | states,
    finished=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(record=records)
def test_a_record_is_one_line_that_reads_back_the_same(record):
    line = record.to_json()
    assert len(line.splitlines()) == 1
    assert Record.from_json(line) == record


def test_the_format_of_kept_records_still_reads_and_writes():
    assert RECORD.to_json() == LINE


def changed(**changes):
    return json.dumps({**json.loads(LINE), **changes})


@pytest.mark.parametrize(
    "line",
    [
        "",
        LINE[:-10],
        "null",
        "[]",
        "{}",
        changed(schema_version=2),
        changed(unheard_of=1),
        changed(device=None),
        changed(device={"machine": "x"}),
        changed(before={}),
        changed(blocks=[1, 2]),
        changed(warmup_ns=None),
        json.dumps({key: value for key, value in json.loads(LINE).items() if key != "model"}),
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Record.from_json(line)


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "build" / "small"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights")
    return artifact(folder, [("model.onnx", "fp32")], num_classes=2, size=4)


def content(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFile:
    def test_it_lies_beside_the_artifact_and_says_when(self, small):
        with records_file(small, NOW) as path:
            write(path, [RECORD, RECORD])
        assert path == small.folder.parent / "bench" / "small-20260102T030405.000006Z.jsonl"
        assert path.read_text() == f"{LINE}\n{LINE}\n"
        assert content(path.parent) == [path.name]

    @pytest.mark.parametrize("here", [".", "inner/.."])
    def test_it_never_lies_in_the_artifact(self, small, here, monkeypatch):
        (small.folder / "inner").mkdir()
        monkeypatch.chdir(small.folder)
        with records_file(replace(small, folder=Path(here)), NOW) as path:
            write(path, [RECORD])
        assert content(small.folder.parent / "bench") == [path.name]

    def test_an_artifact_called_bench_is_not_written_to(self, small):
        folder = small.folder.rename(small.folder.parent / "bench")
        with records_file(replace(small, folder=folder), NOW) as path:
            assert path.parent.name == "bench-records"

    def test_a_model_of_any_name_has_a_file(self, small):
        odd = replace(small, manifest=replace(small.manifest, model="../my net: 2"))
        with records_file(odd, NOW) as path:
            assert path.parent == small.folder.parent / "bench"
            assert path.name.startswith(".._my_net_2-")

    def test_without_records_the_folder_goes(self, small):
        with pytest.raises(KeyboardInterrupt), records_file(small, NOW):
            raise KeyboardInterrupt
        assert content(small.folder.parent) == ["small"]

    def test_earlier_records_stay(self, small):
        with records_file(small, NOW) as path:
            write(path, [RECORD])
        with records_file(small, datetime(2027, 1, 1, tzinfo=UTC)):
            pass
        assert content(path.parent) == [path.name]

    def test_a_place_that_cannot_be_written_is_refused_at_once(self, small):
        (small.folder.parent / "bench").write_text("")
        with pytest.raises(ArtifactError, match=r"Cannot write .*bench: "):
            records_file(small, NOW).__enter__()
        assert content(small.folder.parent) == ["bench", "small"]

    def test_a_folder_that_cannot_be_written_is_refused_at_once(self, small):
        (small.folder.parent / "bench").symlink_to("/proc")
        with pytest.raises(ArtifactError, match=r"Cannot write .*bench: .*move the artifact"):
            records_file(small, NOW).__enter__()

    def test_a_write_that_fails_leaves_the_records_before(self, small, monkeypatch):
        def full(self, text, *_):
            self.write_bytes(text[:100].encode())
            raise OSError(28, "No space left on device")

        with records_file(small, NOW) as path:
            write(path, [RECORD])
            monkeypatch.setattr(Path, "write_text", full)
            with pytest.raises(ArtifactError, match="No space left"):
                write(path, [RECORD, RECORD])
        assert path.read_text() == f"{LINE}\n"
        assert content(path.parent) == [path.name]
