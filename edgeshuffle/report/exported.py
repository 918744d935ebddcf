"""What `export` wrote: a row a file, and what it was held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeshuffle.report.sqnr import sqnr_cell, sqnr_column
from edgeshuffle.report.table import Column, ResultTable

if TYPE_CHECKING:
    from edgeshuffle.artifact import Artifact, ModelFile
    from edgeshuffle.artifact.manifest import Proof
    from edgeshuffle.report.table import Cell


def exported_table(artifact: Artifact) -> ResultTable:
    """The files of an artifact that was just written."""
    manifest = artifact.manifest
    checked = manifest.metrics.get("files", {})
    measured = (Column(key="agreement", heading="agreement", unit="%", form=".1f"), sqnr_column())
    notes = []
    if checked:
        images = manifest.metrics["calibration_images"]
        notes.append(f"Checked on {images} calibration images; measure with: edgeshuffle evaluate")
    if manifest.proof is not None:
        floats = {file.path for file in manifest.files if file.precision == "fp32"}
        notes.append(_proved(manifest.proof, floats))
    return ResultTable(
        key="files",
        title=f"{manifest.model}: {manifest.macs / 1e6:.0f} M MACs",
        columns=(
            Column(key="file", heading="file", kind="text"),
            Column(key="bytes", heading="", unit="MiB", divisor=2**20, form=".2f"),
            Column(key="operators", heading="operators"),
            *(measured if checked else ()),
        ),
        rows=tuple(_row(file, checked) for file in manifest.files),
        notes=tuple(notes),
    )


def _row(file: ModelFile, checked: dict[str, Any]) -> tuple[Cell, ...]:
    own = (file.path, file.bytes, sum(file.ops.values()))
    if not checked:
        return own
    found = checked[file.path]
    return (*own, found["agreement"], sqnr_cell(found["sqnr_db"]))


def _proved(proof: Proof, floats: set[str]) -> str:
    largest = max(file.largest_difference or 0.0 for file in proof.files if file.path in floats)
    return (
        f"Float files equal {proof.source} on {proof.images} real and {proof.random_images} random "
        f"images (largest difference {largest:.0e} of the logits, {proof.tolerance:.0e} allowed)"
    )
