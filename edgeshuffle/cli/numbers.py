"""Numbers as options: finite ones, as NaN passes every comparison and infinity every limit."""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteFloat(click.FloatRange):
    """A float, within a range if one is given, that is neither NaN nor infinite."""

    name = "float"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Raise click.BadParameter, which ends with 2, for anything else."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number

    def _describe_range(self) -> str:
        return super()._describe_range() if (self.min, self.max) != (None, None) else "finite"


class Triple(click.ParamType[Any]):
    """Three finite numbers, one a colour channel: `0.485,0.456,0.406`."""

    name = "r,g,b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Raise click.BadParameter, which ends with 2, for anything else."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} is not three numbers such as 0.485,0.456,0.406", param, ctx)
        return numbers
