"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.artifact import Artifact

artifact_argument: Final = click.argument(
    "artifact", type=click.Path(path_type=Path), required=False
)
images_option: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR|NPZ",
    help="Images, labels not needed; without it, the demo's calibration images.",
)
threads_option: Final = click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Of the runtime.",
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def limit_option(
    default: int | None = None,
) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Add --limit, of images."""
    return click.option(
        "--limit",
        type=click.IntRange(1),
        default=default,
        show_default=default is not None,
        help="Use this many images, spread over the set.",
    )


def runtime_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add --runtime and --threads, of commands that run model files."""
    from edgeshuffle.artifact.runtimes import RUNTIMES

    runtimes = click.option(
        "--runtime",
        "runtimes",
        type=click.Choice(list(RUNTIMES)),
        multiple=True,
        help="Repeat for several [default: all].",
    )
    return runtimes(threads_option(command))


def load_artifact(folder: Path | None) -> Artifact:
    """The artifact in a folder, or the newest one under build/; raises ArtifactError."""
    from edgeshuffle.artifact import Artifact

    return Artifact.load(folder) if folder else Artifact.newest(Path("build"))
