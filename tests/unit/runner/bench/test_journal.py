"""Records files while they are written, on a disk that is full now and then."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from places import GOLDEN
from small_models import artifact

from edgeshuffle.errors import ArtifactError
from edgeshuffle.runner.bench import journal as journals
from edgeshuffle.runner.bench.events import from_line
from edgeshuffle.runner.bench.journal import lock, new_journal, records_folder, writable_folder

RECORDS = GOLDEN / "bench"
LINES = (RECORDS / "version_2.jsonl").read_bytes().splitlines(keepends=True)
HEAD, BLOCKS = LINES[:3], LINES[3:7]
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "build" / "small"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights")
    return artifact(folder, [("model.onnx", "fp32")], num_classes=2, size=4)


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def journal(tmp_path):
    return new_journal(tmp_path, "small", NOW)


class TestWriting:
    def test_a_line_is_in_the_file_as_soon_as_it_is_appended(self, tmp_path):
        with journal(tmp_path) as made:
            for line in HEAD:
                made.append(line, sample=False)
            assert content(tmp_path) == []
            for number, line in enumerate(BLOCKS, 1):
                made.append(line, sample=True)
                assert made.path.read_bytes() == b"".join(HEAD + BLOCKS[:number])
        assert made.problem is None

    def test_without_a_sample_there_is_no_file(self, tmp_path):
        with journal(tmp_path) as made:
            made.append(HEAD[0], sample=False)
        assert content(tmp_path) == []
        assert not made.begun

    def test_two_of_one_moment_have_files_of_their_own(self, tmp_path):
        with journal(tmp_path) as one, journal(tmp_path) as two:
            for made in (one, two):
                made.append(HEAD[0], sample=True)
        assert len(content(tmp_path)) == 2

    def test_a_model_of_any_name_has_a_file(self, tmp_path):
        with new_journal(tmp_path, "../my net: 2" + 300 * "x", NOW) as made:
            made.append(HEAD[0], sample=True)
        (name,) = content(tmp_path)
        assert name.startswith(".._my_net_2x")

    def test_nobody_else_can_add_to_it_meanwhile(self, tmp_path):
        with journal(tmp_path) as made:
            made.append(HEAD[0], sample=True)
            assert lock(made.path) is None
        descriptor = lock(made.path)
        assert descriptor is not None
        os.close(descriptor)

    def test_the_lock_ends_with_the_process(self, tmp_path):
        path = tmp_path / "records.jsonl"
        path.write_bytes(HEAD[0])
        script = (
            "import sys, pathlib\nfrom edgeshuffle.runner.bench.journal import lock\n"
            "lock(pathlib.Path(sys.argv[1]))\nprint('locked', flush=True)\nsys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout.readline() == b"locked\n"
            assert lock(path) is None
            other.kill()
        descriptor = lock(path)
        assert descriptor is not None
        os.close(descriptor)


class Disk:
    """os.write on a disk with so many bytes left."""

    def __init__(self, monkeypatch, left):
        self.left, self.write = left, os.write
        monkeypatch.setattr(journals.os, "write", self)

    def __call__(self, descriptor, data):
        if not self.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.write(descriptor, data[: self.left])
        self.left -= written
        return written


class TestFullDisk:
    @pytest.mark.parametrize("room", [0, 1, 50, len(BLOCKS[2]) - 1])
    def test_whole_lines_stay_and_no_part_of_one(self, tmp_path, monkeypatch, room):
        with journal(tmp_path) as made:
            for line in HEAD + BLOCKS[:2]:
                made.append(line, sample=True)
            Disk(monkeypatch, room)
            for line in BLOCKS[2:]:
                made.append(line, sample=True)
            assert made.problem == "No space left on device"
        assert made.path.read_bytes() == b"".join(HEAD + BLOCKS[:2])
        assert made.problem == "No space left on device"

    def test_what_could_not_be_written_is_when_there_is_room_again(self, tmp_path, monkeypatch):
        with journal(tmp_path) as made:
            made.append(b"".join(HEAD), sample=True)
            disk = Disk(monkeypatch, 10)
            made.append(BLOCKS[0], sample=True)
            assert made.problem
            disk.left = 10**6
            made.append(BLOCKS[1], sample=True)
            assert made.problem is None
        assert made.path.read_bytes() == b"".join(HEAD + BLOCKS[:2])

    def test_what_waits_is_tried_again_at_the_end(self, tmp_path, monkeypatch):
        with journal(tmp_path) as made:
            disk = Disk(monkeypatch, 10)
            made.append(HEAD[0], sample=True)
            disk.left = 10**6
        assert made.problem is None
        assert made.path.read_bytes() == HEAD[0]

    def test_a_file_without_a_whole_line_goes(self, tmp_path, monkeypatch):
        with journal(tmp_path) as made:
            Disk(monkeypatch, 10)
            made.append(HEAD[0], sample=True)
        assert made.problem
        assert content(tmp_path) == []


class TestFolder:
    def test_what_was_made_for_it_goes_with_it(self, tmp_path):
        with writable_folder(tmp_path / "build" / "bench") as folder:
            assert folder.is_dir()
        assert list(tmp_path.iterdir()) == []
        with writable_folder(tmp_path / "build" / "bench") as folder:
            (folder / "kept.jsonl").touch()
        assert [path.name for path in tmp_path.rglob("*")] == ["build", "bench", "kept.jsonl"]

    def test_it_lies_beside_the_artifact_and_says_when(self, small):
        with (
            writable_folder(records_folder(small)) as folder,
            new_journal(folder, "small", NOW) as made,
        ):
            made.append(HEAD[0], sample=True)
        assert made.path.parent == small.folder.parent / "bench"
        assert made.path.name.startswith("small-20260102T030405.000006Z-")
        assert content(folder) == [made.path.name]

    @pytest.mark.parametrize("here", [".", "inner/.."])
    def test_it_never_lies_in_the_artifact(self, small, here, monkeypatch):
        (small.folder / "inner").mkdir()
        monkeypatch.chdir(small.folder)
        folder = records_folder(replace(small, folder=Path(here)))
        assert folder.resolve() == small.folder.parent / "bench"

    def test_an_artifact_called_bench_is_not_written_to(self, small):
        folder = small.folder.rename(small.folder.parent / "bench")
        assert records_folder(replace(small, folder=folder)).name == "bench-records"

    def test_without_records_the_folder_goes(self, small):
        with pytest.raises(KeyboardInterrupt), writable_folder(records_folder(small)):
            raise KeyboardInterrupt
        assert content(small.folder.parent) == ["small"]

    def test_a_run_is_kept_although_another_one_removed_the_empty_folder(self, small):
        with writable_folder(records_folder(small)) as folder:
            folder.rmdir()
            with new_journal(folder, "small", NOW) as made:
                made.append(HEAD[0], sample=True)
        assert made.path.read_bytes() == HEAD[0]

    def test_a_place_that_cannot_be_written_is_refused_at_once(self, small):
        (small.folder.parent / "bench").write_text("")
        with pytest.raises(ArtifactError, match=r"Cannot write .*bench: "):
            writable_folder(records_folder(small)).__enter__()
        assert content(small.folder.parent) == ["bench", "small"]

    def test_a_folder_that_cannot_be_written_is_refused_at_once(self, small):
        (small.folder.parent / "bench").symlink_to("/proc")
        with pytest.raises(ArtifactError, match=r"Cannot write .*bench: .*move the artifact"):
            writable_folder(records_folder(small)).__enter__()


def test_the_lines_of_these_tests_are_events():
    assert all(map(from_line, LINES))
