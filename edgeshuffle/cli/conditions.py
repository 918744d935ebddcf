"""Options of commands that measure as `bench` does, and how they end where numbers are no good."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, cast

import click

from edgeshuffle.cli.devices import wait_option
from edgeshuffle.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeshuffle.runner.bench.plan import Mode

_OPTIONS: Final = (
    click.option("--quick", is_flag=True, help="128 samples or 10 s a model file [default]."),
    click.option("--full", is_flag=True, help="At least 1024 samples and 60 s a model file."),
    click.option(
        "--cores",
        default="fast",
        show_default=True,
        help="To pin to, where a device has several kinds: fast, slow, all or a list like 0,4-7.",
    ),
    wait_option,
    click.option("--fresh", is_flag=True, help="Do not continue a run that was cut off."),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Of all that is drawn at random, such as the input and the order.",
    ),
    click.option(
        "--allow-invalid", is_flag=True, help="End with 0 where a result is INVALID, too."
    ),
)

cycles_option = click.option(
    "--cycles", is_flag=True, help="Also estimate them on emulated boards (needs llvm-mca)."
)


def condition_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --quick, --full, --cores, --wait, --fresh, --seed and --allow-invalid."""
    return functools.reduce(lambda made, option: option(made), reversed(_OPTIONS), command)


def mode_of(**given: bool) -> Mode:
    """The one mode that was asked for: each says how long, so two contradict each other."""
    chosen = [name for name, asked in given.items() if asked]
    if len(chosen) > 1:
        options = " and ".join(f"--{name}" for name in chosen)
        raise click.UsageError(f"{options} exclude each other.")
    return cast("Mode", chosen[0] if chosen else "quick")


def refuse_invalid(invalid: Sequence[str], *, allowed: bool) -> None:
    """Raise GateError where results are INVALID, unless that is allowed."""
    if invalid and not allowed:
        raise GateError(
            f"INVALID: {', '.join(invalid)}. Do not quote these numbers: mend what the report "
            "names and measure again, or end with 0 all the same by --allow-invalid."
        )
