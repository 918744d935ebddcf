"""`edgeshuffle image`: container images."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.output import echo_json
from edgeshuffle.containers.engines import ENGINES
from edgeshuffle.containers.targets import PLATFORMS, TARGETS, own_platform

_ENGINE = click.option(
    "--engine", type=click.Choice(list(ENGINES)), help="[default: the first that works]"
)


@click.group("image")
def command() -> None:
    """Build and run container images."""


@command.command("build")
@click.argument("target", type=click.Choice(list(TARGETS)), default="runner")
@click.option(
    "--platform",
    "platforms",
    type=click.Choice(list(PLATFORMS)),
    multiple=True,
    help="Repeat for several [default: all of the target].",
)
@_ENGINE
@click.option(
    "--checkout",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where docker/ lies [default: here].",
)
@click.option("--index", metavar="URL", help="A mirror of PyPI.")
@click.option("--mirror", metavar="URL", help="A mirror of Debian, or a day of its snapshots.")
@click.option(
    "--pip-conf",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A pip.conf, perhaps with a password; it is not kept in any layer.",
)
@shared.json_option
def build_command(
    target: str,
    platforms: tuple[str, ...],
    engine: str | None,
    checkout: Path,
    index: str | None,
    mirror: str | None,
    pip_conf: Path | None,
    *,
    as_json: bool,
) -> None:
    """Build TARGET (runner, exporter or bundle) for ARM, on any machine."""
    from edgeshuffle.containers import BuildOptions, build

    options = BuildOptions(
        target=target,
        platforms=platforms,
        engine=engine,
        checkout=checkout,
        index=index,
        mirror=mirror,
        pip_conf=pip_conf,
    )
    shown = sys.stderr.isatty()
    used, built = build(options, lambda line: click.echo(line, err=True) if shown else None)
    if as_json:
        echo_json({"engine": used, "built": [asdict(one) for one in built]})
        return
    for one in built:
        click.echo(f"{one.result} for {one.platform}, by {used} in {one.seconds:.0f} s")


@command.command("run")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--platform", type=click.Choice(TARGETS["exporter"].platforms), help="[default: this machine's]"
)
@_ENGINE
@click.option("--network", is_flag=True, help="Let it reach the network, for --device ssh://...")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object at the end, to stderr."
)
def run_command(
    arguments: tuple[str, ...],
    platform: str | None,
    engine: str | None,
    *,
    network: bool,
    as_json: bool,
) -> None:
    """Run an edgeshuffle command in the exporter image; this folder is /work there.

    Write -- before the command: edgeshuffle image run --platform linux/arm64 -- bench
    """
    from edgeshuffle.containers import RunOptions, run

    done = run(
        RunOptions(
            arguments=arguments,
            platform=platform or own_platform(),
            engine=engine,
            network=network,
        )
    )
    if as_json:
        echo_json(asdict(done), err=True)
    sys.exit(done.status)
