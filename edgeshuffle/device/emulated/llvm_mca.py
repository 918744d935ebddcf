"""Cycles of blocks of AArch64 code by LLVM's machine code analyzer, `llvm-mca`.

It simulates dispatch, execution units and latencies of a core that LLVM has a scheduling model of
(https://llvm.org/docs/CommandGuide/llvm-mca.html), on text that `llvm-mc` disassembles.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from edgeshuffle.device.command import finish
from edgeshuffle.errors import DeviceError
from edgeshuffle.untrusted import UntrustedError, decode, last_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

# Bytes of an instruction.
WORD: Final = 4
# Earlier ones stop at the first instruction that a model lacks.
OLDEST: Final = 19
NEWEST: Final = 29
ITERATIONS: Final = 100
TIMEOUT: Final = 300.0
# A line of output each, of which a program's output may have no more than `finish` takes.
WORDS_AT_ONCE: Final = 6000
INSTRUCTIONS_AT_ONCE: Final = 12_000
# A region's summary is as long as some instructions.
_SUMMARY: Final = 14

_VERSION: Final = re.compile(r"LLVM version (\d{1,4})\.(\d{1,4}\.\d{1,4})")
_LINE: Final = re.compile(
    r"\t(\S.*?) *// encoding: \[0x(..),0x(..),0x(..),0x(..)\]", re.ASCII | re.MULTILINE
)
# bl and blr as b and br: a call is taken to last for 100 cycles, though its callee is counted.
_CALLS: Final = ((0xFC000000, 0x94000000, 0x80000000), (0xFFFFFC1F, 0xD63F0000, 0x00200000))


@dataclass(frozen=True)
class Tools:
    """Both programs, of one version."""

    mc: str
    mca: str
    version: str


@dataclass(frozen=True, kw_only=True)
class _Summary:
    Iterations: int
    Instructions: int
    TotalCycles: Annotated[int, Meta(ge=1, le=2**53)]


@dataclass(frozen=True, kw_only=True)
class _Region:
    Name: str
    SummaryView: _Summary


@dataclass(frozen=True, kw_only=True)
class _Analysis:
    CodeRegions: tuple[_Region, ...]


def find_tools() -> Tools:
    """The newest that are installed; raises DeviceError where there are none, naming a package."""
    for suffix in (*(f"-{number}" for number in range(NEWEST, OLDEST - 1, -1)), ""):
        mc, mca = (shutil.which(name + suffix) for name in ("llvm-mc", "llvm-mca"))
        if mc and mca:
            said = _VERSION.search(finish([mca, "--version"], TIMEOUT, mca).out)
            if said and int(said[1]) >= OLDEST:
                return Tools(mc, mca, f"{said[1]}.{said[2]}")
    raise DeviceError(
        f"Estimating cycles needs llvm-mca {OLDEST} or newer: install the package llvm-{OLDEST}, "
        "or leave out `cycles`."
    )


def block_cycles(tools: Tools, blocks: Sequence[bytes], core: str) -> dict[bytes, float]:
    """Cycles that `core` (LLVM's name) takes for each block (its code), repeated without end.

    Blocks with an instruction that the model does not know are left out. Raises DeviceError.
    """
    words = {block: _words(block) for block in blocks}
    text = _disassemble(tools, {word for one in words.values() for word in one}, core)
    known = [block for block in blocks if text.keys() >= set(words[block])]
    found: dict[bytes, float] = {}
    for part in _parts(known):
        source = "".join(
            f"# LLVM-MCA-BEGIN {index}\n"
            + "".join(f"{text[word]}\n" for word in words[block])
            + "# LLVM-MCA-END\n"
            for index, block in enumerate(part)
        )
        argv = [tools.mca, "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ITERATIONS}"]
        argv += ["-instruction-info=false", "-resource-pressure=false", "-json"]
        said = _said([*argv, "-skip-unsupported-instructions=any"], source)
        try:
            regions = decode(said, _Analysis).CodeRegions
            of = {int(region.Name): region.SummaryView for region in regions}
        except (UntrustedError, ValueError) as err:
            raise DeviceError(f"{tools.mca} said what cannot be read ({err}).") from err
        for index, block in enumerate(part):
            # Of a block in which something was skipped, there are fewer.
            if index in of and of[index].Instructions == of[index].Iterations * len(words[block]):
                found[block] = of[index].TotalCycles / of[index].Iterations
    return found


def _words(block: bytes) -> list[int]:
    words = [int.from_bytes(block[at : at + WORD], "little") for at in range(0, len(block), WORD)]
    for mask, value, change in _CALLS:
        words = [word ^ change if word & mask == value else word for word in words]
    return words


def _disassemble(tools: Tools, words: Collection[int], core: str) -> dict[int, str]:
    """Text of every word that is an instruction of this core."""
    found = {}
    ordered = sorted(words)
    for at in range(0, len(ordered), WORDS_AT_ONCE):
        some = ordered[at : at + WORDS_AT_ONCE]
        source = "".join(
            " ".join(f"0x{byte:02x}" for byte in word.to_bytes(WORD, "little")) + "\n"
            for word in some
        )
        argv = [tools.mc, "--disassemble", "--show-encoding", "-triple=aarch64", f"-mcpu={core}"]
        for text, *code in _LINE.findall(_said(argv, source)):
            found[int("".join(reversed(code)), 16)] = text
    return found


def _parts(blocks: Sequence[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for block in blocks:
        more = len(block) // WORD + _SUMMARY
        if part and size + more > INSTRUCTIONS_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(block)
        size += more
    if part:
        yield part


def _said(argv: Sequence[str], source: str) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="edgeshuffle-", suffix=".s") as file:
        file.write(source)
        file.flush()
        done = finish([*argv, file.name], TIMEOUT, argv[0])
    if done.status:
        raise DeviceError(
            f"{argv[0]} failed ({last_line(done.err.encode())}). Install another version of LLVM, "
            "or leave out `cycles`."
        )
    return done.out
