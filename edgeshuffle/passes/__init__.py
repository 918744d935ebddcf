"""Graph rewrites that keep the float result, each a module with `run(model) -> Outcome`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgeshuffle.errors import EdgeShuffleError, PassError
from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.passes.outcome import Outcome


class Pass(Protocol):
    """Rewrites the model in place; a second run finds nothing left to do."""

    def run(self, model: ir.Model) -> Outcome: ...


PASSES: Table[Pass] = Table(
    "pass",
    __name__,
    "export",
    "explicit_padding",
    "fold_batchnorm",
    "keepdims_mean",
    "gemm_to_conv",
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
    """Run the named passes in order, checking the model after each; `after` sees every stage.

    Raises ModelError for a model that cannot be handled, PassError where a pass breaks the model.
    """
    import onnx  # noqa: PLC0415
    import onnx_ir as ir  # noqa: PLC0415

    logs: list[PassLog] = []
    outputs = [value.name for value in model.graph.outputs]
    for name in names:
        so_far = ", ".join(log.name for log in logs) or "no other pass"
        try:
            outcome = PASSES[name].run(model)
            for value, given in zip(model.graph.outputs, outputs, strict=True):
                value.name = given
            onnx.checker.check_model(ir.to_proto(model), full_check=True)
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
