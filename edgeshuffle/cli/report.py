"""`edgeshuffle report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeshuffle.cli import shared


@click.command("report")
@click.argument("records", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), help="Also compare with another run's records."
)
@shared.json_option
def command(records: Path, against: Path | None, *, as_json: bool) -> None:
    """Show what an earlier `edgeshuffle bench` measured, from its RECORDS (.jsonl).

    Runs are compared only where model, device, host name, kernel, governor, threads, cores, mode
    and runtime are the same. The exit code is 0 for INVALID results, too.
    """
    from edgeshuffle.report import REPORTS
    from edgeshuffle.runner.bench import replay

    report = replay(records, against)
    click.echo(report.render(REPORTS["json" if as_json else "terminal"]).rstrip("\n"))
