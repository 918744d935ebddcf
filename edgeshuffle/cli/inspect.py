"""`edgeshuffle inspect`: what is inside model files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.numbers import Size
from edgeshuffle.cli.output import echo_json
from edgeshuffle.cli.results import show_tables
from edgeshuffle.report.inspection import inspection_table
from edgeshuffle.runner.inspect import inspect_file


@click.command("inspect")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--resolution", type=Size(), help="Height x width, of an ONNX file with an open one.")
@shared.json_option
def command(
    target: Path | None, resolution: int | tuple[int, int] | None, *, as_json: bool
) -> None:
    """Show operators, MACs, parameters, bytes moved, requantizations and channel shuffles.

    TARGET is an artifact folder, or any .onnx or .tflite file; without it, the newest artifact
    under build/. Of an ONNX file with shuffles it is told what dissolving them saves.
    """
    sides = (resolution, resolution) if isinstance(resolution, int) else resolution
    inspections = {path.name: inspect_file(path, sides) for path in _files(target)}
    if as_json:
        found = {name: asdict(inspection) for name, inspection in inspections.items()}
        echo_json({"files": found})
    else:
        show_tables(inspection_table(inspections))


def _files(target: Path | None) -> list[Path]:
    if target is not None and not target.is_dir():
        return [target]
    artifact = shared.load_artifact(target)
    return [artifact.path(file) for file in artifact.manifest.files]
