"""Numbers as options: finite ones, as NaN passes every comparison and infinity every limit."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import click

_CHANNELS: Final = (1, 3, 4)
_SIZE: Final = re.compile(r"([0-9]{1,9})(?:[xX]([0-9]{1,9}))?")


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


class PerChannel(click.ParamType[Any]):
    """A finite number for each channel, or one for all: `0.485,0.456,0.406`."""

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
        if len(numbers) not in _CHANNELS or not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} is not 1, 3 or 4 numbers such as 0.485,0.456,0.406", param, ctx)
        return numbers


class Size(click.ParamType[Any]):
    """Pixels: one side of a square, or height x width, as `128x64`."""

    name = "side|HxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | tuple[int, int]:
        """Raise click.BadParameter, which ends with 2, for anything else."""
        sides = _SIZE.fullmatch(str(value))
        if sides is None:
            self.fail(f"{value!r} is not a size such as 224 or 128x64 (height x width)", param, ctx)
        height, width = int(sides[1]), sides[2]
        return height if width is None else (height, int(width))


class Batch(click.ParamType[Any]):
    """A number of images, or `dynamic`."""

    name = "n|dynamic"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Raise click.BadParameter, which ends with 2, for anything else."""
        text = str(value)
        if text != "dynamic" and not (text.isdecimal() and len(text) < 10):
            self.fail(f"{value!r} is neither a number of images nor dynamic", param, ctx)
        return text if text == "dynamic" else int(text)
