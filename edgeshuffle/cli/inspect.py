"""`edgeshuffle inspect`: what is inside model files."""

from __future__ import annotations

import os.path
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from edgeshuffle.cli import shared
from edgeshuffle.cli.console import Console
from edgeshuffle.cli.flags import with_own_flags
from edgeshuffle.cli.output import echo_json
from edgeshuffle.runner.inspect import inspect_file
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.runner.inspect import Inspection

_SHOWN = 8


@click.command("inspect")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@shared.json_option
def command(target: Path | None, *, as_json: bool) -> None:
    """Show operators, MACs, parameters, bytes moved, requantizations and channel shuffles.

    TARGET is an artifact folder, or any .onnx or .tflite file; without it, the newest artifact
    under build/. Of an ONNX file with shuffles it is told what dissolving them saves.
    """
    inspections = {path.name: inspect_file(path) for path in _files(target)}
    if as_json:
        found = {name: asdict(inspection) for name, inspection in inspections.items()}
        echo_json({"files": found})
    else:
        _show(inspections)


def _files(target: Path | None) -> list[Path]:
    if target is not None and not target.is_dir():
        return [target]
    artifact = shared.load_artifact(target)
    return [artifact.path(file) for file in artifact.manifest.files]


def _show(inspections: dict[str, Inspection]) -> None:
    console = Console()
    columns = list(inspections.values())
    # Only what tells the files apart, so that four of them fit beside each other.
    shared = ""
    if len(inspections) > 1:
        shared = os.path.commonprefix(list(inspections))  # noqa: RUF071 - of names, not of paths
    table = Table(title=shared.strip("_"), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for name in inspections:
        table.add_column(name.removeprefix(shared), justify="right", overflow="fold")
    if any(column.batch > 1 for column in columns):
        table.add_row("Images an inference", *(str(column.batch) for column in columns))
    table.add_row("MACs (millions)", *(f"{column.macs / 1e6:.1f}" for column in columns))
    table.add_row("Parameters", *(f"{column.parameters:,}" for column in columns))
    table.add_row("Weight bytes", *(f"{column.weight_bytes:,}" for column in columns))
    table.add_row("Bytes moved", *(f"{column.moved_bytes:,}" for column in columns))
    table.add_row("Requantizations", *(str(len(column.requantizations)) for column in columns))
    table.add_row("Channel shuffles", *(str(column.shuffles) for column in columns))
    table.add_row("Transposes", *(str(column.transposes) for column in columns))
    wide = (str(len(column.wide_tensors)) for column in columns)
    table.add_row("Tensors of rank 5+", *wide, end_section=True)
    for op in sorted({op for column in columns for op in column.ops}):
        table.add_row(op, *(str(column.ops.get(op, "")) for column in columns))
    console.print(table)
    for name, inspection in inspections.items():
        for line in _remarks(inspection):
            console.print(f"{name}: {line}", soft_wrap=True, markup=False, highlight=False)
        for found in inspection.requantizations[:_SHOWN]:
            scales = ", ".join(f"{source.scale:.4g}" for source in found.sources)
            console.print(
                f"{name}: {found.op} to '{found.output}' requantizes: "
                f"scale {scales} to {found.target.scale:.4g}",
                soft_wrap=True,
            )
        if len(inspection.requantizations) > _SHOWN:
            more = len(inspection.requantizations) - _SHOWN
            console.print(f"{name}: and {more} more (all with --json)")


def _remarks(inspection: Inspection) -> Iterator[str]:
    """On several inputs and outputs, what is not counted, and shuffles."""
    for kind, ends in (("input", inspection.inputs), ("output", inspection.outputs)):
        if len(ends) > 1:
            shown = ", ".join(f"'{quoted(name, 60)}' {_shape(dims)}" for name, dims in ends.items())
            yield f"{len(ends)} {kind}s: {shown}"
    if inspection.unknown:
        some = ", ".join(quoted(one, 80) for one in inspection.unknown[:_SHOWN])
        more = f" and {len(inspection.unknown) - _SHOWN} more"
        yield (
            f"not counted, as it is only known when it runs: {some}"
            f"{more if len(inspection.unknown) > _SHOWN else ''}"
        )
    found = inspection.dissolved
    if found is not None and found.moving is not None and found.moved_bytes is not None:
        yield (
            f"dissolving leaves {found.shuffles} of {inspection.shuffles} channel shuffles, "
            f"{found.moving[1]} of {found.moving[0]} operators that only move data, and "
            f"{found.moved_bytes[1]:,} of {found.moved_bytes[0]:,} bytes moved"
            f"{f' ({quoted(found.reason)})' if found.reason else ''}"
        )
    elif found is not None:
        yield f"its shuffles cannot be dissolved: {with_own_flags(found.reason or '')}"
    elif inspection.shuffles:
        yield "its shuffles can be dissolved in the float ONNX model that it was made of"


def _shape(dims: tuple[int, ...] | None) -> str:
    return "of open shape" if dims is None else "x".join(map(str, dims))
