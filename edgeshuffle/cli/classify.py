"""`edgeshuffle classify`: labels and probabilities of pictures."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from edgeshuffle.artifact.manifest import Precision
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.cli import shared
from edgeshuffle.cli.devices import device_options, wait_option
from edgeshuffle.cli.output import echo_json
from edgeshuffle.device.inventory import find_address, inventory_file
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.runner.classify import Classification


_TOLD: Final = 10


@click.command("classify")
@click.argument(
    "pictures", type=click.Path(path_type=Path, allow_dash=True), nargs=-1, metavar="[PICTURE]..."
)
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    metavar="DIR|FILE",
    help="Artifact folder, or a model file of one [default: the newest one under build/].",
)
@device_options
@wait_option
@click.option("--runtime", type=click.Choice(list(RUNTIMES)), help="[default: litert, else ort]")
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Of the model file [default: int8, else fp32].",
)
@click.option(
    "--top", type=click.IntRange(1), help="Classes a picture [default: 5 of one, 1 of several]."
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Class names, one a line [default: the artifact's].",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the pictures, with their labels drawn in, into a new folder.",
)
@shared.limit_option()
@shared.threads_option
@shared.json_option
def command(
    pictures: tuple[Path, ...],
    artifact: Path | None,
    device: str,
    inventory: Path | None,
    runtime: str | None,
    precision: str | None,
    top: int | None,
    labels: Path | None,
    save: Path | None,
    limit: int | None,
    threads: int,
    wait: int,
    *,
    as_json: bool,
) -> None:
    """Tell what is on pictures: labels and probabilities, by an artifact's model.

    PICTURE is a file, a folder, an .npz file or - for standard input; without any, some of the
    demo's own test images. Where one cannot be read, the others are classified all the same, and
    the exit code is 6.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.cli.results import show_tables
    from edgeshuffle.host.atomic import new_folder
    from edgeshuffle.report.classification import classification_table
    from edgeshuffle.report.drawn import LabelledPictures
    from edgeshuffle.runner.classify import ClassifyOptions, classify

    options = ClassifyOptions(
        artifact=artifact if artifact and artifact.is_file() else shared.load_artifact(artifact),
        pictures=pictures,
        device=find_address(device, inventory or inventory_file()),
        runtime=runtime,
        precision=precision,
        top=top,
        labels=labels,
        limit=limit,
        threads=threads,
        wait=wait,
    )
    with ExitStack() as stack:
        seen = None
        if save is not None:
            seen = LabelledPictures(stack.enter_context(new_folder(save))).add
        progress = stack.enter_context(stages())
        made = classify(options, progress, seen)
        if save is not None:
            _refuse_all_bad(made)
    if as_json:
        echo_json(made.as_json())
    else:
        _refuse_all_bad(made)
        show_tables(classification_table(made))
        if save is not None:
            click.echo(f"Wrote {save}/")
    _refuse_all_bad(made)
    if made.problems:
        bad = [one.picture for one in made.pictures if one.problem is not None]
        raise DataError(
            f"{len(bad)} of {len(made.pictures)} pictures cannot be classified: "
            f"{_some(bad, ', ')}. Give others, or leave them out."
        )


def _refuse_all_bad(made: Classification) -> None:
    """Raise DataError, with the reasons, where no picture could be classified."""
    if len(made.problems) == len(made.pictures):
        raise DataError(_some(made.problems, " "))


def _some(texts: Sequence[str], between: str) -> str:
    more = len(texts) - _TOLD
    return between.join([*texts[:_TOLD], *([f"and {more} more"] if more > 0 else [])])
