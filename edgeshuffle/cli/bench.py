"""`edgeshuffle bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.devices import device_options, wait_option
from edgeshuffle.cli.numbers import FiniteFloat
from edgeshuffle.device.inventory import find_address, inventory_file
from edgeshuffle.errors import GateError

if TYPE_CHECKING:
    from edgeshuffle.runner.bench.plan import Mode


@click.command("bench")
@shared.artifact_argument
@device_options
@shared.runtime_options
@click.option("--quick", is_flag=True, help="128 samples or 10 s a model file [default].")
@click.option("--full", is_flag=True, help="At least 1024 samples and 60 s a model file.")
@click.option(
    "--sustained",
    "minutes",
    type=FiniteFloat(0, 1440, min_open=True),
    metavar="MIN",
    help="So many minutes for all files together, to see what heat does; 512 samples at least.",
)
@click.option(
    "--cores",
    default="fast",
    show_default=True,
    help="To pin to, where a device has several kinds: fast, slow, all or a list like 0,4-7.",
)
@click.option("--profile", is_flag=True, help="Also time each operator, where the runtime can.")
@wait_option
@click.option("--fresh", is_flag=True, help="Do not continue a run that was cut off.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="Also compare with an earlier run's records (.jsonl).",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of the input and the order.",
)
@click.option("--allow-invalid", is_flag=True, help="End with 0 where a result is INVALID, too.")
@shared.json_option
def command(
    *,
    artifact: Path | None,
    device: str,
    inventory: Path | None,
    runtimes: tuple[str, ...],
    threads: int,
    quick: bool,
    full: bool,
    minutes: float | None,
    cores: str,
    profile: bool,
    wait: int,
    fresh: bool,
    against: Path | None,
    seed: int,
    allow_invalid: bool,
    as_json: bool,
) -> None:
    """Time an artifact's model files side by side, with confidence intervals and a verdict.

    ARTIFACT is a folder made by `edgeshuffle export` [default: the newest one under build/]. Where
    a result is INVALID, the exit code is 11.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.report import REPORTS
    from edgeshuffle.runner.bench import BenchOptions, bench

    mode = _mode(quick=quick, full=full, sustained=minutes is not None)
    options = BenchOptions(
        artifact=shared.load_artifact(artifact),
        device=find_address(device, inventory or inventory_file()),
        runtimes=tuple(dict.fromkeys(runtimes)),
        threads=threads,
        cores=cores,
        mode=mode,
        minutes=minutes or 0.0,
        profile=profile,
        wait=wait,
        fresh=fresh,
        against=against,
        seed=seed,
    )
    with stages() as progress:
        report = bench(options, progress)
    click.echo(report.render(REPORTS["json" if as_json else "terminal"]).rstrip("\n"))
    if report.problem is not None:
        raise report.problem
    if report.invalid and not allow_invalid:
        raise GateError(
            f"INVALID: {', '.join(report.invalid)}. Do not quote these numbers: mend what the "
            "report names and measure again, or end with 0 all the same by --allow-invalid."
        )


def _mode(**given: bool) -> Mode:
    """The one mode that was asked for: each says how long, so two contradict each other."""
    chosen = [name for name, asked in given.items() if asked]
    if len(chosen) > 1:
        options = " and ".join(f"--{name}" for name in chosen)
        raise click.UsageError(f"{options} exclude each other.")
    return cast("Mode", chosen[0] if chosen else "quick")
