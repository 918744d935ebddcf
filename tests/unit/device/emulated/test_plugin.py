"""What the counting plugin wrote: whole regions, or an error."""

from __future__ import annotations

import json

import pytest

from edgeshuffle.device.emulated import plugin
from edgeshuffle.errors import DeviceError


def written(path, *regions):
    path.write_text("".join(f"{json.dumps(region)}\n" for region in regions))
    return path


def region(number, instructions):
    return {"region": number, "instructions": instructions, "dot": 3}


def test_the_last_regions_are_read(tmp_path):
    path = written(tmp_path / "counts", region(1, 9), region(1, 10), region(2, 20))
    assert plugin.read_counts(path, 2) == (
        {"instructions": 10, "dot": 3},
        {"instructions": 20, "dot": 3},
    )


@pytest.mark.parametrize(
    "regions",
    [
        (),
        (region(1, 10),),
        (region(2, 10), region(1, 10)),
        (region(1, 10), {"region": 2}),
        (region(1, 10), region(2, "many")),
        (region(1, 10), {"instructions": 5}),
    ],
)
def test_other_regions_are_an_error(tmp_path, regions):
    with pytest.raises(DeviceError, match="other regions than were run"):
        plugin.read_counts(written(tmp_path / "counts", *regions), 2)
    with pytest.raises(DeviceError, match="other regions than were run"):
        plugin.read_counts(tmp_path / "none", 2)


def test_without_a_compiler_its_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="install the package gcc"):
        plugin.compiled(tmp_path)


def test_what_a_compiler_says_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho 'no header' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(compiler.parent))
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(DeviceError, match=r"no header.*libc6-dev"):
        plugin.compiled(cache)
    assert not list(cache.glob("*.so"))
