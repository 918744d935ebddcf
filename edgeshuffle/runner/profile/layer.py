"""A layer as a runtime runs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One operator that the runtime runs, or several at once, for one inference.

    `name` is the user's: the module's path where weights tell it, else the name of what is
    computed. `op` is what the runtime calls it, `kind` one of `kinds.KINDS`. `macs` are
    multiply-accumulates and `accesses` the memory access cost: elements read and written
    (arXiv:1807.11164, equation 1), None where sizes are not known.
    """

    name: str
    op: str
    kind: str
    macs: int | None
    accesses: int | None

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity: multiply-accumulates for each element read or written."""
        if self.macs is None or not self.accesses:
            return None
        return self.macs / self.accesses


@dataclass(frozen=True, kw_only=True)
class ProfiledLayer(Layer):
    """A layer and what it costs: nanoseconds or instructions, and estimated cycles if asked for."""

    cost: int
    cycles: int | None = None
