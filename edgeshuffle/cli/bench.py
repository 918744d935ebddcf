"""`edgeshuffle bench`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.conditions import condition_options, cycles_option, mode_of, refuse_invalid
from edgeshuffle.cli.devices import device_options
from edgeshuffle.cli.numbers import FiniteFloat
from edgeshuffle.device.inventory import find_address, inventory_file


@click.command("bench")
@shared.artifact_argument
@device_options
@shared.runtime_options
@condition_options
@click.option(
    "--sustained",
    "minutes",
    type=FiniteFloat(0, 1440, min_open=True),
    metavar="MIN",
    help="So many minutes for all files together, to see what heat does; 512 samples at least.",
)
@click.option("--profile", is_flag=True, help="Also time each operator, where the runtime can.")
@cycles_option
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="Also compare with an earlier run's records (.jsonl).",
)
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
    cycles: bool,
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

    mode = mode_of(quick=quick, full=full, sustained=minutes is not None)
    options = BenchOptions(
        artifact=shared.load_artifact(artifact),
        device=find_address(device, inventory or inventory_file()),
        runtimes=tuple(dict.fromkeys(runtimes)),
        threads=threads,
        cores=cores,
        mode=mode,
        minutes=minutes or 0.0,
        profile=profile,
        cycles=cycles,
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
    refuse_invalid(report.invalid, allowed=allow_invalid)
