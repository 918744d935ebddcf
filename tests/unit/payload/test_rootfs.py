"""What is built once into the cache: by one process at a time, and whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgeshuffle.device.emulated.plugin import read_counts
from edgeshuffle.errors import DeviceError
from edgeshuffle.payload import rootfs

BUILD = """
import sys, time
from pathlib import Path
from edgeshuffle.payload import rootfs

def assemble(root, work, machine, wheels, progress):
    work.mkdir()
    (work / "download").write_text("half")
    print("built", flush=True)
    time.sleep(float(sys.argv[2]))
    (root / "file").write_text("whole")

rootfs.assemble = assemble
print(rootfs.root_filesystem(Path(sys.argv[1]), print, "armv7l"))
"""


def start(cache, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, cache, str(seconds)], stdout=subprocess.PIPE, text=True
    )


def entries(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def test_two_builds_at_once_are_one(tmp_path):
    building = [start(tmp_path, 0.5) for _ in range(3)]
    said = [one.communicate(timeout=60)[0].splitlines() for one in building]
    assert [one.returncode for one in building] == [0, 0, 0]
    assert sum(lines.count("built") for lines in said) == 1
    (root,) = entries(tmp_path)
    assert {lines[-1] for lines in said} == {str(tmp_path / root)}
    assert (tmp_path / root / "file").read_text() == "whole"


def test_a_killed_build_is_cleaned_up_by_the_next(tmp_path):
    killed = start(tmp_path, 60)
    assert killed.stdout.readline() == "built\n"
    killed.kill()
    killed.communicate()
    assert entries(tmp_path)
    next_one = start(tmp_path, 0)
    assert next_one.communicate(timeout=60)[0].startswith("built")
    (root,) = entries(tmp_path)
    assert (tmp_path / root / "file").read_text() == "whole"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DeviceError, match="set XDG_CACHE_HOME"),
        rootfs.alone(tmp_path / "file" / "root"),
    ):
        pass


def test_an_error_of_the_builder_is_its_own(tmp_path):
    with pytest.raises(ValueError, match="inside"), rootfs.alone(tmp_path / "root"):
        raise ValueError("inside")


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", '{"region": 1}', '{"region": 2, "instructions": 5}', '{"region": "1"}'],
)
def test_counts_of_something_else_are_refused(tmp_path, text):
    (tmp_path / "counts").write_text(text)
    with pytest.raises(DeviceError, match="other regions than were run"):
        read_counts(tmp_path / "counts", 1)
