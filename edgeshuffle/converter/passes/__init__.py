"""Graph rewrites that keep the float result.

Each is a module with `run(model) -> Outcome`, and `ensures(model)`, what holds from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from edgeshuffle.errors import EdgeShuffleError, PassError
from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.passes.outcome import Outcome


class Pass(Protocol):
    """Rewrites the model in place; a second run finds nothing left to do.

    `ensures` is the postcondition: None where it holds, or else where it does not. Where a later
    pass makes room for more, as a dissolved shuffle does between a factor and a convolution, this
    one runs again, unless the module says `LASTING = False`.
    """

    def run(self, model: ir.Model) -> Outcome: ...

    def ensures(self, model: ir.Model) -> str | None: ...


PASSES: Table[Pass] = Table(
    "pass",
    __name__,
    "export",
    "explicit_padding",
    "usual_kinds",
    "spelled_activations",
    "fold_batchnorm",
    "fold_affine",
    "fold_padding",
    "raise_relu",
    "keepdims_mean",
    "gemm_to_conv",
    "permutation_conv",
    "part_heads",
    "dissolve_shuffle",
)

# Each takes something away, so that more of them than a network is deep are passes at odds.
_MOST_ROUNDS: Final = 32


@dataclass(frozen=True)
class PassLog:
    """One pass's outcome, for the manifest."""

    name: str
    outcome: Outcome


def run_passes(
    model: ir.Model,
    names: Sequence[str] = tuple(PASSES),
    after: Callable[[str, ir.Model], None] | None = None,
) -> tuple[PassLog, ...]:
    """Run the named passes in order; `after` sees every stage.

    After each, the model is checked, and what this pass and all before it ensure. From the first
    of which that no longer holds, the passes run again. Raises ModelError for a model that cannot
    be handled, PassError where a pass breaks the model or a postcondition.
    """
    import onnx
    import onnx_ir as ir

    found: dict[str, Outcome] = {}
    outputs = [value.name for value in model.graph.outputs]
    at = rounds = 0
    while at < len(names):
        name, before = names[at], names[:at]
        so_far = ", ".join(before) or "no other pass"
        try:
            outcome = PASSES[name].run(model)
            _name_outputs(model.graph, outputs)
            onnx.checker.check_model(ir.to_proto(model), full_check=True)
            broken = _broken(model, (*before, name))
        except EdgeShuffleError:
            raise
        except Exception as err:
            raise PassError(
                f"The pass {name} failed after {so_far} ({type(err).__name__}: {err}). Please "
                "report it with the model."
            ) from err
        earlier = found.get(name)
        found[name] = outcome if earlier is None else earlier.followed_by(outcome)
        rounds += broken is not None
        if broken is not None and (broken.name == name or rounds > _MOST_ROUNDS):
            promise = "its postcondition" if broken.name == name else f"that of {broken.name}"
            raise PassError(
                f"The pass {name}, after {so_far}, left {promise} broken: {broken.reason}. Please "
                "report it with the model."
            )
        if after is not None:
            after(name, model)
        at = at + 1 if broken is None else names.index(broken.name)
    return tuple(PassLog(name, found[name]) for name in names)


def _name_outputs(graph: ir.Graph, names: Sequence[str | None]) -> None:
    """Give the outputs the names they had; a value inside that has one of them steps back."""
    from edgeshuffle.converter import graph as g

    given = dict(zip(graph.outputs, names, strict=True))
    for value in (value for node in graph for value in node.outputs):
        if value not in given and value.name in names:
            value.name = g.free_name(graph, f"{value.name}_")
    for value, name in given.items():
        value.name = name


class _Broken(NamedTuple):
    """A pass whose postcondition does not hold, and where."""

    name: str
    reason: str


def _broken(model: ir.Model, names: Sequence[str]) -> _Broken | None:
    """The first of these passes, the last one of which has just run, that has more to do."""
    *before, last = names
    lasting = [name for name in before if getattr(PASSES[name], "LASTING", True)]
    for name in (*lasting, last):
        reason = PASSES[name].ensures(model)
        if reason is not None:
            return _Broken(name, reason)
    return None
