"""`edgeshuffle evaluate`: accuracy of an artifact's model files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.devices import device_options, wait_option
from edgeshuffle.cli.flags import with_own_flags
from edgeshuffle.cli.output import echo_json
from edgeshuffle.cli.progress import stages
from edgeshuffle.cli.results import show_tables
from edgeshuffle.dataset.labels import CLASS_ORDERS
from edgeshuffle.device.inventory import find_address, inventory_file
from edgeshuffle.report.evaluation import evaluation_table
from edgeshuffle.report.mistakes import mistake_tables
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate


@click.command("evaluate")
@shared.artifact_argument
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Image folder or .npz file; without it, the demo's own test images.",
)
@device_options
@wait_option
@click.option(
    "--unlabelled",
    "labelled",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Look at no labels: agreement and SQNR only, as of models that are no classifiers.",
)
@click.option(
    "--class-order",
    type=click.Choice(CLASS_ORDERS),
    help="Class folders' names are indices, or sort as text [default: names, else indices].",
)
@click.option(
    "--per-class",
    is_flag=True,
    help="Also show what was taken for what, by class, and which labels INT8 changed.",
)
@click.option(
    "--wrong",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Copy the pictures that the INT8 file is most wrong about into a new folder.",
)
@click.option(
    "--worst",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="So many pictures for --wrong, and classes for --per-class.",
)
@shared.runtime_options
@shared.limit_option()
@shared.json_option
def command(
    artifact: Path | None,
    data: Path | None,
    device: str,
    inventory: Path | None,
    runtimes: tuple[str, ...],
    limit: int | None,
    threads: int,
    class_order: str | None,
    wrong: Path | None,
    worst: int,
    wait: int,
    *,
    labelled: bool,
    per_class: bool,
    as_json: bool,
) -> None:
    """Compare every model file of ARTIFACT with the labels and with the float model.

    Without ARTIFACT, the newest one under build/. SQNR is the signal to quantization noise ratio
    of the logits, or of each output of a model that is no classifier.
    """
    options = EvaluateOptions(
        artifact=shared.load_artifact(artifact),
        data=data,
        device=find_address(device, inventory or inventory_file()),
        labelled=labelled,
        class_order=class_order,
        per_class=per_class,
        wrong=wrong,
        worst=worst,
        runtimes=tuple(dict.fromkeys(runtimes)),
        limit=limit,
        threads=threads,
        wait=wait,
    )
    with stages() as progress:
        found = evaluate(options, progress)
    evaluation = replace(found, notes=tuple(map(with_own_flags, found.notes)))
    for note in evaluation.notes:
        click.echo(note, err=True)
    if as_json:
        echo_json(evaluation.as_json())
    else:
        details = mistake_tables(evaluation, worst) if per_class else ()
        show_tables(evaluation_table(evaluation), *details)
        if wrong is not None:
            click.echo(f"Wrote {wrong}/")
