"""From blocks that ran to an inference's cycles."""

from __future__ import annotations

import pytest

from edgeshuffle.device.emulated import cycles as module
from edgeshuffle.device.emulated.cycles import estimate_cycles
from edgeshuffle.device.emulated.llvm_mca import Tools
from edgeshuffle.device.emulated.plugin import Ran
from edgeshuffle.errors import DeviceError

FAST, SLOW, UNKNOWN = (bytes([kind]) * 16 for kind in b"fsu")
TAKES = {FAST: 2.0, SLOW: 8.0}


def ran(blocks):
    return Ran(blocks=blocks, misses=(30, 20))


@pytest.fixture
def asked(monkeypatch):
    """Blocks that the analyzer was asked for, by call."""
    calls = []

    def block_cycles(tools, blocks, core):
        calls.append((tuple(blocks), core))
        return {block: TAKES[block] for block in blocks if block in TAKES}

    monkeypatch.setattr(module, "find_tools", lambda: Tools("mc", "mca", "19.1.7"))
    monkeypatch.setattr(module, "block_cycles", block_cycles)
    return calls


def test_blocks_count_as_often_as_they_ran(asked, tmp_path):
    found = estimate_cycles(ran({FAST: 1000, SLOW: 500}), "cortex-a72", tmp_path)
    assert (found.estimate, found.core, found.llvm) == (6000, "cortex-a72", "19.1.7")
    assert (found.modelled, found.misses) == (1, (30, 20))


def test_what_the_model_lacks_is_taken_at_the_mean(asked, tmp_path):
    found = estimate_cycles(ran({FAST: 1000, SLOW: 500, UNKNOWN: 500}), "cortex-a72", tmp_path)
    assert found.modelled == 0.75
    assert found.estimate == 8000


def test_rare_blocks_are_not_asked_for(asked, tmp_path):
    found = estimate_cycles(ran({FAST: 9_995, SLOW: 5}), "cortex-a72", tmp_path)
    assert asked == [((FAST,), "cortex-a72")]
    assert found.modelled == 0.9995
    assert found.estimate == 20_000


def test_a_block_is_asked_for_once_a_core(asked, tmp_path):
    first = estimate_cycles(ran({FAST: 10, UNKNOWN: 5}), "cortex-a72", tmp_path)
    assert estimate_cycles(ran({FAST: 10, UNKNOWN: 5}), "cortex-a72", tmp_path) == first
    estimate_cycles(ran({FAST: 10, SLOW: 10}), "cortex-a72", tmp_path)
    estimate_cycles(ran({FAST: 10}), "cortex-a53", tmp_path)
    assert [blocks for blocks, _ in asked] == [(FAST, UNKNOWN), (SLOW,), (FAST,)]


@pytest.mark.parametrize("spoiled", ["", "[]", '{"a": "b"}', '{"a": -1}', '{"a": NaN}'])
def test_a_spoiled_cache_is_made_anew(asked, tmp_path, spoiled):
    estimate_cycles(ran({FAST: 10}), "cortex-a72", tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(spoiled)
    assert estimate_cycles(ran({FAST: 10}), "cortex-a72", tmp_path).estimate == 20
    assert len(asked) == 2


def test_a_cache_that_cannot_be_written_is_done_without(asked, tmp_path):
    (tmp_path / "file").write_text("")
    assert estimate_cycles(ran({FAST: 10}), "cortex-a72", tmp_path / "file").estimate == 20


def test_nothing_that_is_modelled_is_an_error(asked, tmp_path):
    with pytest.raises(DeviceError, match="has no model"):
        estimate_cycles(ran({UNKNOWN: 10}), "cortex-a72", tmp_path)
