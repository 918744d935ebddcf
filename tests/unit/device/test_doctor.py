from __future__ import annotations

import json

import pytest
from small_models import run

from edgeshuffle.agent.probe import describe
from edgeshuffle.device.doctor import examine
from edgeshuffle.device.replies import Described, read
from edgeshuffle.payload.wheels import Choice

GOOD = {
    "machine": "aarch64",
    "cpu": "Made-up board",
    "cores": 4,
    "is_arm": True,
    "governor": "performance",
    "clock_khz": 2_400_000,
    "temperature_mc": 50_000,
    "load": 0.1,
    "python": "3.11.2",
    "bits": 64,
    "glibc": "2.36",
    "features": ["asimd", "atomics", "asimddp", "asimdhp"],
    "page_bytes": 4096,
    "memory_bytes": 4 << 30,
    "free_bytes": 8 << 30,
    "throttled": 0,
    "pmic": False,
    "clusters": [[0, 1, 2, 3]],
    "packages": {"onnxruntime": "1.32.0"},
}


def described(**changes):
    return read({**GOOD, **changes}, Described, "here")


def findings(offered=None, **changes):
    return [f for f in examine(described(**changes), offered) if f.level != "ok"]


def test_a_good_board_has_nothing_to_mend():
    assert findings() == []
    assert [finding.check for finding in examine(described())] == [
        "architecture",
        "int8",
        "fp16",
        "glibc",
        "Python",
        "pages",
        "disk",
        "memory",
        "governor",
        "temperature",
        "power",
        "load",
    ]


@pytest.mark.parametrize(
    ("changes", "check", "level", "text"),
    [
        ({"bits": 32}, "architecture", "warning", "a 64-bit kernel with 32-bit programs"),
        ({"machine": "armv7l", "bits": 32}, "architecture", "warning", "armv7l, 32-bit"),
        ({"features": ["asimd"]}, "int8", "warning", "little or no gain"),
        ({"glibc": None}, "glibc", "problem", "no glibc"),
        ({"glibc": "2.31"}, "glibc", "warning", "ai-edge-litert needs 2.34"),
        ({"python": "3.8.10"}, "Python", "problem", "3.8.10"),
        ({"page_bytes": 16384}, "pages", "warning", "16 KiB"),
        ({"free_bytes": 100 << 20}, "disk", "problem", "100 MiB free, 400"),
        ({"memory_bytes": 256 << 20}, "memory", "warning", "256 MiB in all"),
        ({"governor": "ondemand"}, "governor", "warning", "the clock moves"),
        ({"temperature_mc": 75_000}, "temperature", "warning", "75 degrees"),
        ({"throttled": 1}, "power", "problem", "under-voltage now"),
        ({"throttled": 1 << 18}, "power", "warning", "throttling since it was started"),
        ({"load": 3.0}, "load", "warning", "3.00 on 4 cores"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(changes, check, level, text):
    (found,) = findings(**changes)
    assert (found.check, found.level) == (check, level)
    assert text in found.text
    assert found.fix


def test_whether_fp16_pays_is_told():
    boards = described(), described(features=[])
    told = [next(f for f in examine(board) if f.check == "fp16") for board in boards]
    assert [found.text for found in told] == [
        "fp16 arithmetic (asimdhp): fp16 files are worth it",
        "no fp16 arithmetic (asimdhp): fp16 files are computed in fp32, and only smaller",
    ]


def test_the_known_bad_version_matters_on_old_cores_only():
    bad = {"packages": {"onnxruntime": "1.21.0"}}
    assert findings(**bad) == []
    (found,) = [f for f in findings(**bad, features=["asimddp"]) if f.check == "onnxruntime"]
    assert "illegal instruction" in found.text


def choice(**versions):
    here = {"onnxruntime": "1.32.0", "ai-edge-litert": "2.3.0"}
    absent = tuple(name for name in here if name.replace("-", "_") not in versions)
    found = {name: versions[name.replace("-", "_")] for name in here if name not in absent}
    return Choice(machine="aarch64", python=(3, 9), versions=found, absent=absent, here=here)


def test_runtimes_are_what_the_index_has_for_the_board():
    both = choice(onnxruntime="1.19.2", ai_edge_litert="2.3.0")
    assert findings(both) == []
    assert examine(described(), both)[-1].text == (
        "onnxruntime 1.19.2 (here 1.32.0), ai-edge-litert 2.3.0"
    )
    (one,) = findings(choice(onnxruntime="1.19.2"))
    assert (one.check, one.level) == ("runtimes", "warning")
    assert one.text.startswith("no wheel of ai-edge-litert fits Python 3.9 on aarch64")
    (none,) = findings(choice())
    assert (none.check, none.level) == ("runtimes", "problem")
    (offline,) = findings("pip cannot fetch")
    assert (offline.level, offline.text) == (
        "warning",
        "not known which versions fit: pip cannot fetch",
    )


def test_this_machine_describes_itself_completely():
    assert GOOD.keys() <= describe().keys()
    assert examine(read(describe(), Described, "here"))


def test_the_exit_code_tells(capsys, monkeypatch):
    assert run("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)["findings"]
    monkeypatch.setattr("edgeshuffle.device.local.describe", lambda: {**GOOD, "throttled": 1})
    assert run("doctor") == 11
    out, err = capsys.readouterr()
    assert "problem  power         under-voltage now: use a stronger power supply" in out
    assert err.splitlines() == ["edgeshuffle: local has 1 problem(s): under-voltage now."]
