"""What `edgeshuffle evaluate` shows of a model that is no classifier: one row an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from edgeshuffle.cli.console import Console

if TYPE_CHECKING:
    from edgeshuffle.runner.evaluate import Evaluation


def show_outputs(evaluation: Evaluation) -> None:
    """Print the SQNR of every output of every file."""
    console = Console()
    remote = evaluation.device is not None
    title = f"{evaluation.model} on {evaluation.n} images of {evaluation.data}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Model", no_wrap=True)
    table.add_column("Output", overflow="fold")
    table.add_column("Shape", no_wrap=True)
    headings = ("SQNR dB", *(("there dB", "apart") if remote else ()))
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for result in evaluation.results:
        name = f"{result.runtime} {result.precision}"
        reference = name.replace(" ", "/") == evaluation.reference and not remote
        for output in result.outputs:
            there = (_db(output.same_device_db), f"{output.device_difference or 0:.3g}")
            table.add_row(
                name,
                output.name,
                "x".join(map(str, output.shape)),
                "ref" if reference else _db(output.sqnr_db),
                *(there if remote else ()),
            )
    console.print(table)
    console.print(f"SQNR is against {evaluation.reference}.", highlight=False)
    if evaluation.device is not None:
        console.print(
            f"Run on {evaluation.device.cpu}. `there`: against the float file there; `apart`: the "
            "largest difference to the same file here, in quantization steps for int8.",
            highlight=False,
        )


def _db(value: float | None) -> str:
    return "equal" if value is None else f"{value:.1f}"
