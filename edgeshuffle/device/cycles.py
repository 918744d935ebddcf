"""What an inference on an emulated board would take its core: an estimate, not a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Misses = Annotated[int, Meta(ge=0, le=2**53)]


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """Cycles of the inference with the fewest instructions, by LLVM's scheduling model of `core`.

    Every basic block is simulated alone, repeated until it runs steadily, and counts as often as it
    ran. So there are no caches, no mispredicted branches, and nothing that overlaps from one block
    to the next. `modelled` is the share of the instructions that was simulated; what is left is
    taken at their mean. Models differ between versions of `llvm`.

    `misses` is another model's: how many data accesses miss each level of the board's caches, from
    the first, without prefetching (least recently used, virtual addresses). They are no part of
    `estimate`: how much of a miss a core hides is not known.
    """

    estimate: Annotated[int, Meta(ge=1, le=2**53)]
    core: Annotated[str, Meta(max_length=100)]
    llvm: Annotated[str, Meta(max_length=100)]
    modelled: Annotated[float, Meta(gt=0, le=1)]
    misses: Annotated[tuple[Misses, ...], Meta(max_length=3)] = ()
