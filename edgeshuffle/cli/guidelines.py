"""`edgeshuffle guidelines`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.conditions import condition_options, cycles_option, mode_of, refuse_invalid
from edgeshuffle.cli.devices import device_options
from edgeshuffle.cli.results import Output, result_options
from edgeshuffle.device.inventory import find_address, inventory_file
from edgeshuffle.runner.guidelines.paper import GUIDELINES, SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact import Precision
    from edgeshuffle.runner.guidelines.paper import GuidelineName, SizeName


@click.command("guidelines")
@device_options
@click.option(
    "--only",
    type=click.Choice(list(GUIDELINES)),
    multiple=True,
    help="Repeat for several [default: all].",
)
@click.option(
    "--size",
    "sizes",
    type=click.Choice(list(SIZES)),
    multiple=True,
    default=("x1",),
    help="A column of the paper's ARM tables, or small, to try it; repeat for several "
    "[default: x1].",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8", "both"]),
    default="both",
    show_default=True,
)
@shared.runtime_options
@condition_options
@cycles_option
@result_options(plots=True)
def command(
    *,
    device: str,
    inventory: Path | None,
    only: tuple[str, ...],
    sizes: tuple[str, ...],
    precision: str,
    runtimes: tuple[str, ...],
    threads: int,
    quick: bool,
    full: bool,
    cores: str,
    wait: int,
    fresh: bool,
    seed: int,
    cycles: bool,
    allow_invalid: bool,
    output: Output,
) -> None:
    """Measure the four guidelines of the ShuffleNetV2 paper, beside its own figures.

    Each of its Tables 1 to 4 is built anew as small networks of equal work, which are measured as
    `edgeshuffle bench` does. On an emulated board, instructions are counted. Where a result is
    INVALID, the exit code is 11.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.report import guidelines as shown
    from edgeshuffle.runner.guidelines.run import GuidelinesOptions, guidelines

    options = GuidelinesOptions(
        device=find_address(device, inventory or inventory_file()),
        only=cast("tuple[GuidelineName, ...]", tuple(dict.fromkeys(only))),
        sizes=cast("tuple[SizeName, ...]", tuple(dict.fromkeys(sizes))),
        precisions=("fp32", "int8") if precision == "both" else (cast("Precision", precision),),
        runtimes=tuple(dict.fromkeys(runtimes)),
        threads=threads,
        cores=cores,
        mode=mode_of(quick=quick, full=full),
        fresh=fresh,
        wait=wait,
        seed=seed,
        cycles=cycles,
    )
    with stages() as progress:
        report = guidelines(options, progress)
    output.show(shown.data(report), shown.tables(report), shown.plots(report))
    if report.problem is not None:
        raise report.problem
    refuse_invalid(report.invalid, allowed=allow_invalid)
