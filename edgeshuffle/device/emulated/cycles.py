"""From the blocks that ran in an inference to its cycles."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from edgeshuffle.device.cycles import Cycles
from edgeshuffle.device.emulated.llvm_mca import WORD, block_cycles, find_tools
from edgeshuffle.errors import ArtifactError, DeviceError
from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.untrusted import UntrustedError, decode, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edgeshuffle.device.emulated.plugin import Ran

# The rest are thousands of blocks that run a few times each.
SIMULATED: Final = 0.999
MAX_KEPT: Final = 32 * 2**20
# To be raised with every change of `block_cycles`: what was kept before is another number.
_RULES: Final = 1

_Kept = dict[str, Annotated[float, Meta(ge=0, le=2**53)]]


def estimate_cycles(what: Ran, core: str, cache: Path) -> Cycles:
    """Cycles of what ran, on a core of LLVM's.

    What a block takes is kept in the folder `cache`, by its digest. Raises DeviceError.
    """
    tools = find_tools()
    file = cache / f"cycles-{_RULES}-{core}-llvm-{tools.version}.json"
    kept = _read(file)
    blocks = what.blocks
    ran = {block: runs * len(block) // WORD for block, runs in blocks.items()}
    chosen = {block: hashlib.sha256(block).hexdigest() for block in _most(ran)}
    new = [block for block, digest in chosen.items() if digest not in kept]
    if new:
        found = block_cycles(tools, new, core)
        # Every block takes longer than 0, which is what the model does not know.
        kept |= {chosen[block]: found.get(block, 0.0) for block in new}
        _write(file, kept)
    known = {block: kept[digest] for block, digest in chosen.items() if kept[digest]}
    total, modelled = sum(ran.values()), sum(ran[block] for block in known)
    if not modelled:
        raise DeviceError(
            f"LLVM {tools.version} has no model of what ran ({core}): leave out `cycles`."
        )
    cycles = sum(blocks[block] * each for block, each in known.items())
    return Cycles(
        estimate=max(1, round(cycles * total / modelled)),
        core=core,
        llvm=tools.version,
        modelled=modelled / total,
        misses=what.misses,
    )


def _most(ran: Mapping[bytes, int]) -> Iterator[bytes]:
    """Blocks with the most instructions, until these are nearly all."""
    left = SIMULATED * sum(ran.values())
    for block in sorted(ran, key=lambda block: (-ran[block], block)):
        if left <= 0:
            return
        left -= ran[block]
        yield block


def _read(file: Path) -> _Kept:
    """What is kept there: nothing, where there is no such file or somebody spoiled it."""
    try:
        return decode(read_bounded(file, MAX_KEPT), _Kept, max_bytes=MAX_KEPT)
    except (UntrustedError, OSError):
        return {}


def _write(file: Path, kept: _Kept) -> None:
    """Another process's additions may be lost, which costs only time."""
    # It costs only time, too, where it cannot be written.
    with suppress(ArtifactError), atomic_file(file) as temporary:
        temporary.write_text(json.dumps(kept), "utf-8")
