"""How model files were lowered for a processor, as the manifest tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """An exact rewrite for the processor, what was passed to it, and how often it was made."""

    name: str
    numbers: tuple[int, ...]
    count: int


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A lowering that was measured: what is passed to its rewrites, and what an inference costs.

    `quartiles` are those of a time over the rounds; a count has none.
    """

    format: str
    precision: str
    lowering: dict[str, tuple[int, ...]]
    cost: float
    quartiles: tuple[float, float] | None
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How the files' lowerings were chosen on a device: by `instructions` an inference, or by its
    `share of time`, of the file without a lowering.
    """

    device: str
    unit: str
    tried: tuple[Tried, ...]
