"""`edgeshuffle zoo`: the family's members beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeshuffle.cli.numbers import FiniteFloat
from edgeshuffle.cli.results import result_options
from edgeshuffle.converter.zoo.cards import variants

if TYPE_CHECKING:
    from edgeshuffle.cli.results import Output


@click.command("zoo")
@click.argument("artifacts", type=click.Path(path_type=Path), nargs=-1)
@click.option("--variant", type=click.Choice(variants()), help="Only this member of the family.")
@click.option("--width", type=FiniteFloat(), help="Only this width multiplier.")
@click.option("--groups", type=click.IntRange(1), help="Only so many groups, of v1.")
@result_options(plots=True)
def command(
    artifacts: tuple[Path, ...],
    variant: str | None,
    width: float | None,
    groups: int | None,
    *,
    output: Output,
) -> None:
    """Compare the networks of the family: parameters, MACs, memory access and published accuracy.

    Beside them stands what `edgeshuffle bench` measured of ARTIFACTS, without any of all under
    build/. Networks that nobody published weights of are made to be measured by `edgeshuffle export
    --weights random`.
    """
    from edgeshuffle.report.zoo import plots, tables
    from edgeshuffle.runner.zoo import ZooOptions, zoo

    found = zoo(ZooOptions(variant=variant, width=width, groups=groups, artifacts=artifacts))
    output.show(found.as_json(), tables(found), plots(found))
    for note in found.notes:
        click.echo(note, err=True)
