"""`edgeshuffle evaluate`: accuracy of an artifact's model files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from edgeshuffle.cli import shared
from edgeshuffle.cli.console import Console
from edgeshuffle.cli.devices import device_options, wait_option
from edgeshuffle.cli.evaluated_outputs import show_outputs
from edgeshuffle.cli.flags import with_own_flags
from edgeshuffle.cli.output import echo_json
from edgeshuffle.cli.progress import stages
from edgeshuffle.dataset.labels import CLASS_ORDERS
from edgeshuffle.device.inventory import find_address, inventory_file
from edgeshuffle.runner.evaluate import EvaluateOptions, Evaluation, Result, evaluate


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
    wait: int,
    *,
    labelled: bool,
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
        _show(evaluation)


def _show(evaluation: Evaluation) -> None:
    if all(result.agreement is None for result in evaluation.results):
        show_outputs(evaluation)
        return
    console = Console()
    title = f"{evaluation.model} on {evaluation.n} images of {evaluation.data}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Model", no_wrap=True)
    for heading in ("Top-1 %", "Drop", "Top-5 %", "Agree %", "SQNR dB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in evaluation.results:
        table.add_row(*_row(result, evaluation))
    console.print(table)
    console.print(
        f"Drop (points of top-1), agreement and SQNR are against {evaluation.reference}; "
        "± is one standard error.",
        highlight=False,
    )
    if evaluation.device is not None:
        console.print(f"Run on {evaluation.device.cpu}; against the same file here:")
        for result in evaluation.results:
            unit = "quantization steps" if result.precision == "int8" else "in a logit"
            console.print(
                f"  {result.runtime} {result.precision}: {result.device_agreement:.2f} % equal "
                f"labels, largest difference {result.device_difference:.3g} {unit}",
                highlight=False,
            )


def _row(result: Result, evaluation: Evaluation) -> tuple[str, ...]:
    is_reference = f"{result.runtime}/{result.precision}" == evaluation.reference
    if is_reference and evaluation.device is None:
        compared = ("-", "-", "ref")
    else:
        compared = (
            _with_error(result.drop, result.drop_se),
            _with_error(result.agreement, result.agreement_se),
            "equal" if result.sqnr_db is None else f"{result.sqnr_db:.1f}",
        )
    drop, agreement, sqnr = compared
    return (
        f"{result.runtime} {result.precision}",
        _with_error(result.top1, result.top1_se),
        drop,
        "-" if result.top5 is None else f"{result.top5:.2f}",
        agreement,
        sqnr,
    )


def _with_error(value: float | None, error: float | None) -> str:
    return "-" if value is None or error is None else f"{value:.2f} ±{error:.2f}"
