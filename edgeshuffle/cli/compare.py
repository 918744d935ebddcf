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

    from edgeshuffle.runner.compare import Comparison
    from edgeshuffle.runner.compare.layers import ComparedLayer


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
    """Run ARTIFACT's float and INT8 files side by side and compare every layer.

    Without ARTIFACT, the newest one under build/. Ends with 11 where a layer goes wrong, and names
    the first.
    """
    from edgeshuffle.cli.progress import stages
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
        _show(found)
    if found.first_wrong is not None:
        raise GateError(
            f"The first layer that goes wrong is {found.first_wrong.name} "
            f"({found.first_wrong.operator}): {found.first_wrong.wrong}."
        )


def _db(layer: ComparedLayer, kind: str) -> str:
    if kind not in layer.sqnr_db:
        return "-"
    db = layer.sqnr_db[kind]
    return "equal" if db is None else f"{db:.1f}"


def _show(found: Comparison) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from edgeshuffle.cli.console import Console

    console = Console()
    title = f"{found.model}, INT8 against float on {found.n} images of {found.data}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="fold", min_width=16)
    table.add_column("operator", no_wrap=True)
    kinds = list(dict.fromkeys(kind for layer in found.layers for kind in layer.sqnr_db))
    for kind in kinds:
        table.add_column(f"{kind} dB", justify="right", no_wrap=True)
    both = any(layer.steps is not None for layer in found.layers)
    for heading in ("steps", "differ %") if both else ():
        table.add_column(heading, justify="right", no_wrap=True)
    shown = [layer for layer in found.layers if not layer.moves or layer is found.first_wrong]
    for layer in shown:
        apart = ["-", "-"]
        if layer.steps is not None and layer.differing is not None:
            apart = [str(layer.steps), f"{layer.differing:.2f}"]
        cells = [_db(layer, kind) for kind in kinds]
        table.add_row(
            ("! " if layer.wrong else "") + layer.name,
            layer.operator,
            *cells,
            *(apart if both else ()),
        )
    console.print(table)
    if found.fitted:
        console.print("Channels were equalized; all but the output's are scaled back to compare.")
    if both:
        console.print("`steps` is the most by which the formats differ, `differ` where they do.")
    if found.agreement:
        pairs = ", ".join(f"{pair} {percent:.1f} %" for pair, percent in found.agreement.items())
        console.print(f"Same largest class: {pairs}.")
    for layer in found.layers if len(found.outputs) > 1 else ():
        if layer.name in found.outputs:
            ratios = ", ".join(f"{kind} {_db(layer, kind)} dB" for kind in layer.sqnr_db)
            console.print(f"Output {layer.name}: {ratios}.", markup=False)
