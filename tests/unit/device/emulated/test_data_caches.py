"""The caches' model in the plugin, against one in Python."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from edgeshuffle.device.emulated import plugin
from edgeshuffle.device.emulated.boards import BOARDS

MAIN = """
#include "data_caches.h"
int main(int argc, char **argv)
{
    unsigned long long address;
    if (argc != 2 || !add_caches(argv[1]))
        return 3;
    while (scanf("%llx", &address) == 1)
        on_access(0, 0, address, NULL);
    for (size_t i = 0; i < levels; i++)
        printf("%llu ", (unsigned long long)caches[i].misses);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("caches")
    (folder / "main.c").write_text(MAIN)
    command = ["gcc", "-I", plugin.SOURCE.parent, "-o", folder / "main", folder / "main.c"]
    subprocess.run(command, check=True)
    return folder / "main"


def simulated(program, caches, addresses):
    done = subprocess.run(
        [program, ":".join(f"{sets}x{ways}" for sets, ways in caches)],
        input=" ".join(map(hex, addresses)),
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(count) for count in done.stdout.split()]


def expected(caches, addresses):
    kept = [[[] for _ in range(sets)] for sets, _ in caches]
    misses = [0] * len(caches)
    for address in addresses:
        line = address >> 6
        for level, (sets, ways) in enumerate(caches):
            used = kept[level][line % sets]
            hit = line in used
            if hit:
                used.remove(line)
            used.append(line)
            del used[:-ways]
            if hit:
                break
            misses[level] += 1
    return misses


@pytest.mark.parametrize("caches", [[(1, 1)], [(4, 2), (8, 2)], [(2, 1), (4, 3), (16, 4)]])
def test_misses_are_those_of_least_recently_used_lines(program, caches):
    draw = random.Random(0)
    addresses = [64 + draw.randrange(8192) for _ in range(4000)]
    assert simulated(program, caches, addresses) == expected(caches, addresses)


def test_what_fits_is_missed_once(program):
    caches = [(cache.sets, cache.ways) for cache in BOARDS["pi5"].caches]
    twice = [address for _ in range(2) for address in range(64, 64 + 128 * 1024, 16)]
    # More than the first level holds, and less than the second.
    assert simulated(program, caches, twice) == [4096, 2048, 2048]


@pytest.mark.parametrize("caches", ["", "0x2", "4x0", "4", "4x2:", "4x2,8x2", "1x1:1x1:1x1:1x1"])
def test_what_are_no_caches_is_refused(program, caches):
    assert subprocess.run([program, caches], check=False).returncode == 3
