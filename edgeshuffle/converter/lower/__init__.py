"""Exact rewrites between quantization and the writers, one module each, that change what a runtime
executes and not what comes out: INT8 files give the same integers, float files are equal to
rounding. Scales, zero points and the names of values stay; what is computed in parts has theirs.

A lowering names rewrites and what to pass to them, such as a kernel's tile. Which of them pay is
different for runtimes, processors and widths, and is measured (`targets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx_ir as ir

    from edgeshuffle.converter.lower.draft import Draft
    from edgeshuffle.converter.plan import QuantPlan

    Lowering = Mapping[str, tuple[int, ...]]


class Rewrite(Protocol):
    """Rewrites a draft in place where it can be proved to be exact; returns how often.

    `ADDS_CHANNELS` tells that files grow by weights of zero.
    """

    ADDS_CHANNELS: bool

    @staticmethod
    def run(draft: Draft, *numbers: int) -> int: ...


REWRITES: Table[Rewrite] = Table(
    "rewrite",
    __name__,
    "export",
    *("pixel_groups", "pool_padding"),
    *("split_producers", "middles", "sliced_outputs", "joined_channels", "cut_outputs"),
    # No channels are added through what pads.
    *("even_kernels", "conv_padding"),
)


@dataclass(frozen=True)
class Lowered:
    """A lowered copy of a graph and its plan, and how often each rewrite was made."""

    model: ir.Model
    plan: QuantPlan | None
    counts: dict[str, int]


def lower(model: ir.Model, plan: QuantPlan | None, lowering: Lowering) -> Lowered:
    """A copy of both with the rewrites, in the table's order; raises UnknownNameError."""
    from edgeshuffle.converter import graph as g
    from edgeshuffle.converter.lower.draft import Draft

    for name in lowering:
        REWRITES.require(name)
    draft = Draft(model, plan)
    made = {
        name: REWRITES[name].run(draft, *lowering[name]) for name in REWRITES if name in lowering
    }
    g.drop_dead(draft.model)
    return Lowered(draft.model, draft.plan, {name: count for name, count in made.items() if count})
