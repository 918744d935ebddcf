"""Dissolve channel shuffles, splits and concatenations into the order of weights.

Three facts make it exact. (1) Operators that only move data can be replaced by anything that
brings the same channels to the same readers. (2) A dense convolution makes its output channels in
the order of its weight rows, and reads its inputs in the order of its weight columns:

    (P W) x = P (W x)        (W P^T) (P x) = W x        for every permutation P.

(3) Channel-wise operators (ReLU, pooling, depthwise convolution) commute with permutations, and so
do joint ones (the Add of a residual, the Mul by a gate), if all their inputs are permuted alike.
(4) A grouped convolution allows permutations inside each group, and of whole groups with the
output's. What a ShuffleNetV1's shuffle does between its groups remains, as one Gather.

`trace` runs the moving operators on element numbers, which proves for any chain of Reshape,
Transpose, Gather, Slice, Split and Concat which channel of which operator arrives where, however
the shuffle was written. `order` then sorts the rows of each convolution by who reads them, so
that every reader finds its channels in a few contiguous runs, and `rewire` gives every reader a
concatenation of those runs with its weights permuted to match. In ShuffleNetV2 no Reshape,
Transpose or copy of an identity branch is left (Ma et al., arXiv:1807.11164, section 3, proposed
to merge concat, shuffle and split into one operator; here none remains to be merged).

What cannot be proved to move whole channels stays as it was, with the reason in the outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.passes.dissolve_shuffle.order import arrange
from edgeshuffle.converter.passes.dissolve_shuffle.rewire import plan, rewire
from edgeshuffle.converter.passes.dissolve_shuffle.trace import is_move, trace
from edgeshuffle.converter.passes.outcome import Outcome

if TYPE_CHECKING:
    import onnx_ir as ir


def run(model: ir.Model) -> Outcome:
    """Rewrite the model as long as that leaves fewer moving operators; counts the operators saved.

    An order is searched for from the one that there is: another search may find a better one.
    """
    saved = 0
    left: tuple[str, ...] | None = None
    while True:
        before = sum(is_move(node) for node in model.graph)
        traced = trace(model.graph)
        arranged = arrange(model.graph, traced)
        planned = plan(arranged)
        gains = planned.moves + traced.kept_moves < before
        if gains or left is None:
            left = (*traced.reasons, *planned.left)
        if not gains:
            return Outcome(saved, left)
        rewire(model.graph, arranged, planned)
        g.drop_dead(model)
        model.graph.sort()
        saved += before - sum(is_move(node) for node in model.graph)


def ensures(model: ir.Model) -> str | None:
    """No moving operator is left that another order of weights would save."""
    moves = sum(is_move(node) for node in model.graph)
    traced = trace(model.graph)
    needed = plan(arrange(model.graph, traced)).moves + traced.kept_moves
    return f"{moves} moving operators are left where {needed} do" if needed < moves else None
