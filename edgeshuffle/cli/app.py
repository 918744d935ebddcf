"""`edgeshuffle app`: a folder to copy to a board."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from edgeshuffle.app.boards import BOARDS
from edgeshuffle.artifact.manifest import Precision
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.cli import shared
from edgeshuffle.cli.output import echo_json


@click.command("app")
@shared.artifact_argument
@click.option(
    "--device",
    type=click.Choice(list(BOARDS)),
    default="generic",
    show_default=True,
    help="The kind of board.",
)
@click.option("--runtime", type=click.Choice(list(RUNTIMES)), help="[default: litert, else ort]")
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Of the model file [default: int8, else fp32].",
)
@click.option("--systemd", is_flag=True, help="Also a unit that starts it with the board.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder to make.",
)
@click.option("--overwrite", is_flag=True, help="Replace an app that is there.")
@shared.json_option
def command(
    artifact: Path | None,
    device: str,
    runtime: str | None,
    precision: str | None,
    output: Path,
    *,
    systemd: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a folder that classifies pictures and camera frames on a board, without edgeshuffle.

    ARTIFACT is a folder made by `edgeshuffle export`, or a model file of one [default: the newest
    one under build/]. In the new folder, README.md says how to go on.
    """
    from edgeshuffle.app import AppOptions, make_app

    options = AppOptions(
        artifact=artifact if artifact and artifact.is_file() else shared.load_artifact(artifact),
        output=output,
        device=device,
        runtime=runtime,
        precision=precision,
        systemd=systemd,
        overwrite=overwrite,
    )
    made = make_app(options)
    if as_json:
        echo_json({**asdict(made), "folder": str(made.folder)})
        return
    for note in made.notes:
        click.echo(note)
    click.echo(f"Wrote {made.folder}/ with {made.model} for {made.device}: see its README.md")
