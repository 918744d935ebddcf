"""`edgeshuffle sensitivity`: which layers suffer from quantization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.output import echo_json
from edgeshuffle.converter.quant.recipe import recipe_names

if TYPE_CHECKING:
    from pathlib import Path


@click.command("sensitivity")
@shared.artifact_argument
@shared.images_option
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    help=f"How to quantize: {', '.join(recipe_names())}, or a file [default: as exported].",
)
@shared.limit_option(100)
@click.option("--top", type=click.IntRange(1), help="Show only this many layers.")
@shared.json_option
def command(
    artifact: Path | None,
    data: Path | None,
    recipe: str | None,
    limit: int,
    top: int | None,
    *,
    as_json: bool,
) -> None:
    """Quantize each layer of ARTIFACT alone, and rank them by what it does to the outputs.

    Without ARTIFACT, the newest one under build/. `edgeshuffle export --max-drop` leaves the
    noisiest layers in float.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.cli.results import show_tables
    from edgeshuffle.converter.sensitivity import SensitivityOptions, sensitivity
    from edgeshuffle.report.sensitivity import sensitivity_table

    options = SensitivityOptions(
        artifact=shared.load_artifact(artifact), data=data, recipe=recipe, limit=limit
    )
    with stages() as progress:
        found = sensitivity(options, progress)
    if as_json:
        echo_json(found.as_json())
    else:
        show_tables(sensitivity_table(found, top))
