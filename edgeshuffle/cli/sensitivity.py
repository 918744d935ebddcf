"""`edgeshuffle sensitivity`: which layers suffer from quantization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.output import echo_json
from edgeshuffle.converter.quant.recipe import recipe_names

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.converter.sensitivity import Sensitivity

_BAR: Final = 24


@click.command("sensitivity")
@shared.artifact_argument
@shared.images_option
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    help=f"How to quantize: {', '.join(recipe_names())}, or a file [default: as exported].",
)
@shared.limit_option(100)
@click.option("--top", type=click.IntRange(1), help="Show only this many layers.")
@shared.json_option
def command(
    artifact: Path | None,
    data: Path | None,
    recipe: str | None,
    limit: int,
    top: int | None,
    *,
    as_json: bool,
) -> None:
    """Quantize each layer of ARTIFACT alone, and rank them by what it does to the outputs.

    Without ARTIFACT, the newest one under build/. `edgeshuffle export --max-drop` leaves the
    noisiest layers in float.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.converter.sensitivity import SensitivityOptions, sensitivity

    options = SensitivityOptions(
        artifact=shared.load_artifact(artifact), data=data, recipe=recipe, limit=limit
    )
    with stages() as progress:
        found = sensitivity(options, progress)
    if as_json:
        echo_json(found.as_json())
    else:
        _show(found, top)


def _show(found: Sensitivity, top: int | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from edgeshuffle.cli.console import Console

    console = Console()
    recipe = f"{found.recipe} ({found.calibrator})"
    title = f"{found.model}, recipe {recipe}, on {found.n} images of {found.data}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("INT8 layer", overflow="fold")
    table.add_column("kind", no_wrap=True)
    agrees = ("agree %",) if found.agreement is not None else ()
    for heading in ("M MACs", "SQNR dB", *agrees, "noise %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    shown = found.layers[:top]
    widest = max((layer.noise_share for layer in shown), default=0) or 1
    for layer in shown:
        table.add_row(
            layer.name,
            layer.kind,
            f"{layer.macs / 1e6:.2f}",
            _db(layer.sqnr_db),
            *([f"{layer.agreement:.1f}"] if layer.agreement is not None else ()),
            f"{layer.noise_share:.1f}",
            "#" * round(_BAR * layer.noise_share / widest),
        )
    console.print(table)
    rest = len(found.layers) - len(shown)
    if rest:
        console.print(f"and {rest} layers with less noise (all without --top)")
    console.print(
        f"All {len(found.layers)} together: SQNR {_db(found.sqnr_db)} dB"
        f"{'' if found.agreement is None else f', agreement {found.agreement:.1f} %'}. Noise is "
        "each layer's share of the sum of all."
    )
    if len(found.outputs) > 1:
        each = ", ".join(f"{name} {_db(value)}" for name, value in found.outputs.items())
        console.print(f"Each output's SQNR in dB: {each}.", markup=False)


def _db(value: float | None) -> str:
    return "equal" if value is None else f"{value:.1f}"
