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


def blocks(path, instructions, *lines):
    content = [{"region": 2, "instructions": instructions, "misses": [7]}, *lines]
    return written(path, *content)


def test_the_same_code_is_one_block(tmp_path):
    add, two = "0200018b", "0300018b0200018b"
    path = blocks(
        tmp_path / "blocks",
        19,
        {"runs": 3, "code": add},
        {"runs": 4, "code": two},
        {"runs": 8, "code": add},
    )
    found = plugin.read_blocks(path)
    assert found.blocks == {bytes.fromhex(add): 11, bytes.fromhex(two): 4}
    assert found.misses == (7,)


@pytest.mark.parametrize(
    ("instructions", "lines"),
    [
        (0, []),
        (4, [{"runs": 3, "code": "0200018b"}]),
        (0, [{"runs": 0, "code": "0200018b"}]),
        (3, [{"runs": 3, "code": "0200018"}]),
        (3, [{"runs": 3, "code": "0200018g"}]),
        (3, [{"runs": 3}]),
        (3, [[]]),
    ],
)
def test_blocks_that_are_not_what_was_counted_are_refused(tmp_path, instructions, lines):
    path = blocks(tmp_path / "blocks", instructions, *lines)
    with pytest.raises(DeviceError, match=r"version from 7\.2 to 8\.2"):
        plugin.read_blocks(path)


@pytest.mark.parametrize("content", [None, "", "{", "\n"])
def test_blocks_that_were_not_written_are_refused(tmp_path, content):
    path = tmp_path / "blocks"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DeviceError, match="other regions"):
        plugin.read_blocks(path)
