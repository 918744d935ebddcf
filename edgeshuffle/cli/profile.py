"""`edgeshuffle profile`."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import click

from edgeshuffle.artifact.manifest import Precision
from edgeshuffle.cli import shared
from edgeshuffle.cli.conditions import cycles_option
from edgeshuffle.cli.devices import device_options, wait_option
from edgeshuffle.cli.results import Output, result_options
from edgeshuffle.device.inventory import find_address, inventory_file


@click.command("profile")
@click.argument("targets", type=click.Path(path_type=Path), nargs=-1)
@device_options
@click.option("--precision", type=click.Choice(get_args(Precision)), help="[default: all]")
@shared.runtime_options
@click.option(
    "--layers",
    "most",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Show so many of each file, the costliest; --json and --csv have all.",
)
@cycles_option
@wait_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of the input and the order.",
)
@result_options(plots=True)
def command(
    *,
    targets: tuple[Path, ...],
    device: str,
    inventory: Path | None,
    precision: str | None,
    runtimes: tuple[str, ...],
    threads: int,
    most: int,
    cycles: bool,
    wait: int,
    seed: int,
    output: Output,
) -> None:
    """Show where an inference's time goes, by kind of operator and layer by layer.

    TARGETS are artifact folders and any .onnx or .tflite files, such as an export straight from
    torch to be held against [default: the newest artifact under build/]. On an emulated board,
    instructions are counted.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.report import profile as shown
    from edgeshuffle.runner.profile import ProfileOptions, profile

    given = [shared.load_artifact(one) if one.is_dir() else one for one in targets]
    options = ProfileOptions(
        targets=tuple(given) or (shared.load_artifact(None),),
        device=find_address(device, inventory or inventory_file()),
        runtimes=tuple(dict.fromkeys(runtimes)),
        precision=cast("Precision | None", precision),
        threads=threads,
        wait=wait,
        seed=seed,
        cycles=cycles,
    )
    with stages() as progress:
        report = profile(options, progress)
    output.show(
        shown.data(report),
        shown.tables(report, most),
        shown.plots(report),
        written=shown.tables(report),
    )
