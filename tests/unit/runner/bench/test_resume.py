"""Which run is continued: only one of the same work under the same conditions."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from places import GOLDEN

from edgeshuffle.errors import DeviceError
from edgeshuffle.runner.bench import events
from edgeshuffle.runner.bench.events import from_line, to_line
from edgeshuffle.runner.bench.journal import lock
from edgeshuffle.runner.bench.reading import read_measured
from edgeshuffle.runner.bench.recording import begin
from edgeshuffle.runner.bench.resume import CutOff, find

RECORDS = GOLDEN / "bench"
LINES = (RECORDS / "version_2.jsonl").read_bytes().splitlines(keepends=True)
RUN = from_line(LINES[0])
CUT = LINES[:5]  # two blocks
VERSIONS = ("1.32.0",)


def left(folder, lines=CUT, name="a"):
    """A file of an earlier run; later ones are newer."""
    path = folder / f"{name}.jsonl"
    path.write_bytes(b"".join(lines))
    os.utime(path, ns=(10**9 * len(list(folder.iterdir())),) * 2)
    return path


def found(folder, run=RUN):
    cut = find(folder, run)
    if isinstance(cut, CutOff):
        cut.journal.close()
    return cut


def test_a_run_that_was_cut_off_is_found(tmp_path):
    path = left(tmp_path)
    cut = found(tmp_path)
    assert cut.journal.path == path
    assert len(cut.history.files[0].blocks) == 2


def test_what_varies_by_itself_does_not_count(tmp_path):
    left(tmp_path)
    device = replace(RUN.device, clock_khz=1, temperature_mc=2, load=3.0)
    assert isinstance(found(tmp_path, replace(RUN, device=device, started="later")), CutOff)


FILE = RUN.files[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 2},
        {"mode": "full"},
        {"minutes": 1.0},
        {"cores": (1,)},
        {"seed": 8},
        {"profile": True},
        {"model": "other"},
        {"manifest_sha256": "2" * 64},
        {"kind": "instructions"},
        {"files": ()},
        {"files": (FILE, replace(FILE, runtime="litert"))},
        {"files": (replace(FILE, sha256="3" * 64),)},
        {"device": replace(RUN.device, cpu="other")},
        {"device": replace(RUN.device, hostname="other")},
        {"device": replace(RUN.device, kernel="other")},
        {"device": replace(RUN.device, governor="powersave")},
        {"device": replace(RUN.device, python="3.13.0")},
    ],
)
def test_a_run_of_something_else_is_not_continued(tmp_path, changes):
    path = left(tmp_path)
    assert found(tmp_path, replace(RUN, **changes)) is None
    assert path.read_bytes() == b"".join(CUT)


@pytest.mark.parametrize(
    "last", [LINES[5:8], [*LINES[5:7], LINES[8]], [to_line(events.Ended(reason="interrupted"))]]
)
def test_a_run_that_is_over_or_was_stopped_is_not_continued(tmp_path, last):
    left(tmp_path, [*CUT, *last])
    assert found(tmp_path) is None


def test_only_the_newest_run_of_the_same_work_counts(tmp_path):
    left(tmp_path, name="a")
    other = to_line(replace(RUN, seed=9))
    left(tmp_path, [other, *CUT[1:]], name="b")
    assert found(tmp_path).journal.path.name == "a.jsonl"
    left(tmp_path, LINES, name="c")
    assert found(tmp_path) is None


def test_files_of_anything_else_are_passed_over(tmp_path):
    left(tmp_path)
    for name, content in (("b", b""), ("c", b"\x00"), ("d", CUT[0][:-1]), ("e", b"{}\n")):
        left(tmp_path, [content], name)
    (tmp_path / "f.jsonl").mkdir()
    (tmp_path / "g.jsonl").symlink_to("nowhere")
    assert isinstance(found(tmp_path), CutOff)


def test_a_sustained_run_is_not_continued_and_it_is_said(tmp_path):
    run = replace(RUN, mode="sustained", minutes=1.0)
    path = left(tmp_path, [to_line(run), *CUT[1:]])
    assert found(tmp_path, run) == (
        f"The sustained run in {path} was cut off and is not continued: heat starts anew"
    )


def test_a_run_that_another_process_measures_is_left_alone(tmp_path):
    path = left(tmp_path)
    descriptor = lock(path)
    assert find(tmp_path, RUN) is None
    os.close(descriptor)


def cut_short(folder, error, lines, *happenings):
    """A run of these events that ends with an error."""
    with begin(folder, RUN, VERSIONS) as recording:
        for event in (*map(from_line, lines), *happenings):
            recording.keep(event)
        raise error


class TestGoingOn:
    def test_it_is_written_after_what_there_was(self, tmp_path):
        path = left(tmp_path, [*CUT, LINES[5][:-20]])
        with begin(tmp_path, RUN, VERSIONS) as recording:
            for line in LINES[1:3] + LINES[5:8]:
                recording.keep(from_line(line))
        kept = path.read_bytes()
        assert kept.startswith(b"".join(CUT) + b'{"resumed":')
        (record,) = read_measured(path).records
        assert record.finished
        assert record.blocks == read_measured(RECORDS / "version_2.jsonl").records[0].blocks
        assert [one.name for one in tmp_path.iterdir()] == [path.name]

    def test_without_another_sample_nothing_is_written(self, tmp_path):
        path = left(tmp_path)
        with pytest.raises(DeviceError, match=r"^it is gone What was measured"):
            cut_short(tmp_path, DeviceError("it is gone"), LINES[1:2])
        assert path.read_bytes() == b"".join(CUT)

    def test_another_version_of_the_runtime_begins_a_new_run(self, tmp_path):
        path = left(tmp_path)
        with begin(tmp_path, RUN, ("1.33.0",)) as recording:
            recording.keep(replace(from_line(LINES[1]), runtime_version="1.33.0"))
            for line in LINES[2:8]:
                recording.keep(from_line(line))
        assert recording.notes == (
            f"The run in {path} that was cut off is not continued: ort was 1.32.0 and is 1.33.0 "
            "now",
        )
        assert path.read_bytes() == b"".join(CUT)
        assert len(list(tmp_path.iterdir())) == 2

    def test_fresh_begins_a_new_run(self, tmp_path):
        left(tmp_path)
        with begin(tmp_path, RUN, VERSIONS, fresh=True) as recording:
            assert recording.history.files[0].blocks == []

    @pytest.mark.parametrize("error", [SystemExit(), DeviceError("gone")])
    def test_a_run_that_fails_can_be_continued(self, tmp_path, error):
        with pytest.raises(type(error)):
            cut_short(tmp_path, error, CUT[1:])
        assert len(found(tmp_path).history.files[0].blocks) == 2

    def test_a_device_that_is_lost_leaves_word_where_the_samples_are(self, tmp_path):
        with pytest.raises(DeviceError) as caught:
            cut_short(tmp_path, DeviceError("It is gone."), CUT[1:])
        (path,) = tmp_path.iterdir()
        assert str(caught.value) == (
            f"It is gone. What was measured until then is in {path}. Run it again to go on from "
            "there."
        )

    def test_ctrl_c_ends_it_and_keeps_the_samples(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            cut_short(tmp_path, KeyboardInterrupt(), CUT[1:])
        (path,) = tmp_path.iterdir()
        assert len(read_measured(path).records[0].blocks) == 2
        assert found(tmp_path) is None

    def test_what_cannot_be_is_the_devices_fault_and_not_written(self, tmp_path):
        wrong = replace(from_line(LINES[5]), samples_ns=(0,) * 8)
        with pytest.raises(DeviceError, match="replied what cannot be"):
            cut_short(tmp_path, None, CUT[1:], wrong)
        (path,) = tmp_path.iterdir()
        assert len(read_measured(path).records[0].blocks) == 2
