"""Graph rewrites that keep the float result.

Each is a module with `run(model) -> Outcome`, and `ensures(model)`, what holds from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgeshuffle.errors import EdgeShuffleError, PassError
from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.passes.outcome import Outcome


class Pass(Protocol):
    """Rewrites the model in place; a second run finds nothing left to do.

    `ensures` is the postcondition: None where it holds, or else where it does not. No later pass
    may break it, unless the module says `LASTING = False`.
    """

    def run(self, model: ir.Model) -> Outcome: ...

    def ensures(self, model: ir.Model) -> str | None: ...


PASSES: Table[Pass] = Table(
    "pass",
    __name__,
    "export",
    "explicit_padding",
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

    After each, the model is checked, and what this pass and all before it ensure. Raises ModelError
    for a model that cannot be handled, PassError where a pass breaks the model or a postcondition.
    """
    import onnx
    import onnx_ir as ir

    logs: list[PassLog] = []
    outputs = [value.name for value in model.graph.outputs]
    for name in names:
        so_far = ", ".join(log.name for log in logs) or "no other pass"
        try:
            outcome = PASSES[name].run(model)
            _name_outputs(model.graph, outputs)
            onnx.checker.check_model(ir.to_proto(model), full_check=True)
            _check_ensured(model, name, [log.name for log in logs])
        except EdgeShuffleError:
            raise
        except Exception as err:
            raise PassError(
                f"The pass {name} failed after {so_far} ({type(err).__name__}: {err}). Please "
                "report it with the model."
            ) from err
        logs.append(PassLog(name, outcome))
        if after is not None:
            after(name, model)
    return tuple(logs)


def _name_outputs(graph: ir.Graph, names: Sequence[str | None]) -> None:
    """Give the outputs the names they had; a value inside that has one of them steps back."""
    from edgeshuffle.converter import graph as g

    given = dict(zip(graph.outputs, names, strict=True))
    for value in (value for node in graph for value in node.outputs):
        if value not in given and value.name in names:
            value.name = g.free_name(graph, f"{value.name}_")
    for value, name in given.items():
        value.name = name


def _check_ensured(model: ir.Model, name: str, before: list[str]) -> None:
    so_far = ", ".join(before) or "no other pass"
    lasting = [known for known in before if getattr(PASSES[known], "LASTING", True)]
    for known in (*lasting, name):
        reason = PASSES[known].ensures(model)
        if reason is not None:
            promise = "its postcondition" if known == name else f"that of {known}"
            raise PassError(
                f"The pass {name}, after {so_far}, left {promise} broken: {reason}. Please report "
                "it with the model."
            )
