"""Cycles of blocks: what llvm-mca says of real code, and what is made of programs gone wrong."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from edgeshuffle.device.emulated import llvm_mca
from edgeshuffle.device.emulated.llvm_mca import Tools, block_cycles, find_tools
from edgeshuffle.errors import DeviceError

CORE = "neoverse-n1"


def code(*words):
    return b"".join(word.to_bytes(4, "little") for word in words)


# Arm Architecture Reference Manual, C6: add x0, x0, x1, and the same into other registers.
CHAIN = code(*[0x8B010000] * 4)
APART = code(0x8B010002, 0x8B010003, 0x8B010004, 0x8B010005)
CALL = code(0x8B010002, 0x94000010)
CALL_BY_REGISTER = code(0x8B010002, 0xD63F0060)
NO_CODE = code(0x8B010002, 0xFFFFFFFF)


@pytest.fixture(scope="module")
def tools():
    if shutil.which("llvm-mca-19") is None:
        pytest.skip("llvm-19 is not installed")
    return find_tools()


def test_what_depends_on_each_other_takes_longer(tools):
    found = block_cycles(tools, [CHAIN, APART], CORE)
    assert found[CHAIN] == pytest.approx(4, abs=0.1)
    assert found[APART] < 2


def test_a_call_takes_no_longer_than_a_branch(tools):
    found = block_cycles(tools, [CALL, CALL_BY_REGISTER], "cortex-a53")
    assert max(found.values()) < 5
    assert len(found) == 2


def test_what_is_no_instruction_leaves_its_block_out(tools):
    assert block_cycles(tools, [NO_CODE, APART], CORE).keys() == {APART}


def test_blocks_of_many_runs_of_the_programs_are_the_same(tools, monkeypatch):
    blocks = [CHAIN, APART, CALL]
    at_once = block_cycles(tools, blocks, CORE)
    monkeypatch.setattr(llvm_mca, "WORDS_AT_ONCE", 2)
    monkeypatch.setattr(llvm_mca, "INSTRUCTIONS_AT_ONCE", 20)
    assert block_cycles(tools, blocks, CORE) == at_once


def program(path, text, status=0):
    path.write_text(
        f"#!{sys.executable}\nprint({text!r})\nimport sys\nsys.exit({status})\n", "utf-8"
    )
    path.chmod(0o755)
    return str(path)


DISASSEMBLED = "\tadd\tx0, x0, x1    // encoding: [0x00,0x00,0x01,0x8b]"


def region(name="0", **changes):
    summary = {"Iterations": 100, "Instructions": 400, "TotalCycles": 250, **changes}
    return json.dumps({"CodeRegions": [{"Name": name, "SummaryView": summary}]})


def told(tmp_path, said, status=0):
    tools = Tools(
        program(tmp_path / "mc", DISASSEMBLED), program(tmp_path / "mca", said, status), "19"
    )
    return block_cycles(tools, [CHAIN], CORE)


def test_cycles_are_those_of_one_run(tmp_path):
    assert told(tmp_path, region()) == {CHAIN: 2.5}


@pytest.mark.parametrize("said", [region(Instructions=300), region("1"), '{"CodeRegions": []}'])
def test_a_block_that_was_not_simulated_whole_is_left_out(tmp_path, said):
    assert told(tmp_path, said) == {}


@pytest.mark.parametrize(
    "said", ["", "[]", region("x"), region(TotalCycles=0), region(Instructions="400"), "{}"]
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, said):
    with pytest.raises(DeviceError, match="cannot be read") as caught:
        told(tmp_path, said)
    assert "\n" not in str(caught.value)


def test_a_program_that_fails_is_told(tmp_path):
    with pytest.raises(DeviceError, match="failed"):
        told(tmp_path, region(), status=1)


@pytest.mark.parametrize("version", [None, "Debian LLVM version 14.0.6", "no version"])
def test_without_a_version_that_does_the_package_is_named(tmp_path, monkeypatch, version):
    monkeypatch.setenv("PATH", str(tmp_path))
    if version:
        program(tmp_path / "llvm-mc", "")
        program(tmp_path / "llvm-mca", version)
    with pytest.raises(DeviceError, match="install the package llvm-19"):
        find_tools()


def test_the_newest_version_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for version in (19, 21):
        program(tmp_path / f"llvm-mc-{version}", "")
        program(tmp_path / f"llvm-mca-{version}", f"LLVM version {version}.1.7")
    assert find_tools().version == "21.1.7"
    assert find_tools().mc.endswith("llvm-mc-21")
