"""`edgeshuffle compare`: the INT8 files against float and each other, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.numbers import FiniteFloat
from edgeshuffle.cli.output import echo_json
from edgeshuffle.errors import GateError

if TYPE_CHECKING:
    from pathlib import Path


@click.command("compare")
@shared.artifact_argument
@shared.images_option
@shared.limit_option(32)
@click.option(
    "--min-sqnr",
    type=FiniteFloat(),
    default=10.0,
    show_default=True,
    metavar="DB",
    help="A layer with less is wrong.",
)
@click.option(
    "--max-steps",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="A layer in which ONNX and TFLite differ by more quantization steps is wrong.",
)
@shared.json_option
def command(
    artifact: Path | None,
    data: Path | None,
    limit: int,
    min_sqnr: float,
    max_steps: int,
    *,
    as_json: bool,
) -> None:
    """Run ARTIFACT's float, fp16 and INT8 files side by side and compare every layer.

    Without ARTIFACT, the newest one under build/. Ends with 11 where a layer goes wrong, and names
    the first.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.cli.results import show_tables
    from edgeshuffle.report.comparison import comparison_table
    from edgeshuffle.runner.compare import CompareOptions, compare

    options = CompareOptions(
        artifact=shared.load_artifact(artifact),
        data=data,
        limit=limit,
        min_sqnr=min_sqnr,
        max_steps=max_steps,
    )
    with stages() as progress:
        found = compare(options, progress)
    if as_json:
        echo_json(found.as_json())
    else:
        show_tables(comparison_table(found))
    if found.first_wrong is not None:
        raise GateError(
            f"The first layer that goes wrong is {found.first_wrong.name} "
            f"({found.first_wrong.operator}): {found.first_wrong.wrong}."
        )
