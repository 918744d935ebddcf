"""Two commands at once on one thing: both end well, or one of them says who was faster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib

import pytest

from campaign import victims
from campaign.oracle import listing
from campaign.pool import TESTS
from campaign.test_cases import MINUTES

pytestmark = pytest.mark.device

ROUNDS = 20 if MINUTES else 2
FINISHED = victims.FINISHED


@pytest.fixture
def place(seeds, tmp_path):
    made = victims.Place(tmp_path / "race")
    seeds.copy(seeds.artifact, made.work / "net")
    return made


def both(*running):
    """How two commands that were just started end."""
    ends = [victims.end(one) for one in running]
    assert not any("Traceback" in err for _, _, err in ends), ends
    return ends


def rival(*arguments, **environment):
    paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    return subprocess.Popen(
        [sys.executable, "-m", "campaign.rivals", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def governor(board):
    return board.governor_file.read_text().strip()


def test_two_benches_on_one_board(board, place):
    bench = ("bench", "net", "--device", board.address, "--runtime", "litert", "--json")
    for number in range(ROUNDS):
        first = place.start(*bench)
        time.sleep(0.4 * (number % 5))
        ends = both(first, place.start(*bench))
        codes = sorted(code for code, _, _ in ends)
        # One measures; the other one does so, too, or says that the board is in use.
        assert all(code in (*FINISHED, 9) for code in codes), ends
        assert any(code in FINISHED for code in codes), ends
        assert all("in use" in err for code, _, err in ends if code == 9), ends
        for code, out, _ in ends:
            if code in FINISHED:
                assert json.loads(out)["device"]["governor"] == "performance"
        assert governor(board) == "ondemand"
        assert place.lost() == 0


def test_a_bench_against_a_test_of_the_board(board, place):
    bench = ("bench", "net", "--device", board.address, "--runtime", "litert", "--json")
    for _ in range(ROUNDS):
        running = place.start(*bench)
        while running.poll() is None and governor(board) != "performance":
            time.sleep(0.01)
        code, _, err = place.run("devices", "test", board.address)
        assert code in (0, 9), err
        # Still measured, or over and set back.
        assert governor(board) == "performance" or running.poll() is not None
        (ended,) = both(running)
        assert ended[0] in FINISHED, ended
        assert json.loads(ended[1])["device"]["governor"] == "performance"
        assert governor(board) == "ondemand"


def test_two_setups_of_one_board(board, place):
    for number in range(ROUNDS):
        for site in board.base.glob("site-*"):
            subprocess.run(["rm", "-rf", str(site)], check=True)
        setup = ("setup", "--device", board.address, "--json")
        first = rival(*setup)
        time.sleep(0.2 * (number % 5))
        ends = both(first, rival(*setup))
        assert all(code in (0, 9) for code, _, _ in ends), ends
        assert any(code == 0 for code, _, _ in ends), ends
        (site,) = board.base.glob("site-*")
        assert sorted(path.name for path in site.glob("part*")) == ["part0", "part1", "part2"]
        assert not list(site.rglob("site-*"))
        assert sum(1 for _ in site.glob("part*/file*.py")) == 120


def test_two_builds_of_the_emulated_board(tmp_path):
    for number in range(ROUNDS):
        cache = tmp_path / f"cache{number}"
        ends = both(rival("board", cache), rival("board", cache))
        assert [code for code, _, _ in ends] == [0, 0], ends
        left = [path.name for path in cache.iterdir() if not path.name.endswith(".lock")]
        assert len(left) == 1, left


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_exports_to_one_folder(seeds, place, overwrite):
    more = ("--overwrite",) if overwrite else ()
    export = ("export", "--onnx", str(seeds.model), "-o", "out", "--format", "onnx", *more)
    for _ in range(ROUNDS):
        subprocess.run(["rm", "-rf", str(place.work / "out")], check=True)
        before = listing(place.work)
        ends = both(place.start(*export), place.start(*export))
        codes = sorted(code for code, _, _ in ends)
        assert codes in ([0, 0], [0, 7]) if overwrite else codes == [0, 7], ends
        code, _, err = place.run("inspect", "out", "--json")
        assert code == 0, err
        new = {name.partition("/")[0] for name in listing(place.work).keys() - before.keys()}
        assert new == {"out"}


def test_two_additions_to_one_inventory(place):
    for number in range(ROUNDS):
        names = [f"a{number}", f"b{number}"]
        ends = both(*(place.start("devices", "add", name, "ssh://x") for name in names))
        assert [code for code, _, _ in ends] == [0, 0], ends
        file = place.root / "config" / "edgeshuffle" / "devices.toml"
        assert set(names) <= set(tomllib.loads(file.read_text()))
