"""What `evaluate` found: a row a file, or of what is no classifier, a row an output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.report.sqnr import sqnr_cell, sqnr_column
from edgeshuffle.report.table import Column, ResultTable, WithError, Worded

if TYPE_CHECKING:
    from edgeshuffle.report.table import Cell
    from edgeshuffle.runner.evaluate import Evaluation, Result


_UNITS: Final = {"int8": "quantization steps", "pixels": "in a probability"}


def evaluation_table(found: Evaluation) -> ResultTable:
    """Every file against the labels and the float file, or every output against its own there."""
    classifies = any(result.agreement is not None for result in found.results)
    return _classes(found) if classifies else _outputs(found)


def _classes(found: Evaluation) -> ResultTable:
    return ResultTable(
        key="evaluation",
        title=_title(found),
        columns=(
            Column(key="model", heading="Model", kind="text"),
            Column(key="top1", heading="Top-1", unit="%", form=".2f", spread="error"),
            Column(key="drop", heading="Drop", form=".2f", spread="error"),
            Column(key="top5", heading="Top-5", unit="%", form=".2f"),
            Column(key="agreement", heading="Agree", unit="%", form=".2f", spread="error"),
            sqnr_column(),
        ),
        rows=tuple(_row(result, found) for result in found.results),
        notes=(
            f"Drop (points of top-1), agreement and SQNR are against {found.reference}; ± is one "
            "standard error.",
            *_device(found),
        ),
    )


def _row(result: Result, found: Evaluation) -> tuple[Cell, ...]:
    compared: tuple[Cell, ...] = (
        _with_error(result.drop, result.drop_se),
        _with_error(result.agreement, result.agreement_se),
        sqnr_cell(result.sqnr_db),
    )
    if found.device is None and _is_reference(result, found):
        compared = (None, None, _REFERENCE)
    drop, agreement, sqnr = compared
    return (
        f"{result.runtime} {result.precision}",
        _with_error(result.top1, result.top1_se),
        drop,
        result.top5,
        agreement,
        sqnr,
    )


def _device(found: Evaluation) -> tuple[str, ...]:
    if found.device is None:
        return ()
    return (
        f"Run on {found.device.cpu}; against the same file here:",
        *(
            f"  {result.runtime} {result.precision}: {result.device_agreement:.2f} % equal "
            f"labels, largest difference {result.device_difference:.3g} "
            f"{_UNITS.get(result.precision, 'in a logit')}"
            for result in found.results
        ),
    )


def _outputs(found: Evaluation) -> ResultTable:
    remote = found.device is not None
    apart = Column(key="device_difference", heading="apart", form=".3g")
    rows: list[tuple[Cell, ...]] = []
    for result in found.results:
        reference = _is_reference(result, found) and not remote
        for output in result.outputs:
            there = (sqnr_cell(output.same_device_db), output.device_difference or 0)
            rows.append(
                (
                    f"{result.runtime} {result.precision}",
                    output.name,
                    "x".join(map(str, output.shape)),
                    _REFERENCE if reference else sqnr_cell(output.sqnr_db),
                    *(there if remote else ()),
                )
            )
    notes = [f"SQNR is against {found.reference}."]
    if found.device is not None:
        notes.append(
            f"Run on {found.device.cpu}. `there`: against the float file there; `apart`: the "
            "largest difference to the same file here, in quantization steps for int8."
        )
    return ResultTable(
        key="outputs",
        title=_title(found),
        columns=(
            Column(key="model", heading="Model", kind="text"),
            Column(key="output", heading="Output", kind="text"),
            Column(key="shape", heading="Shape", kind="text"),
            sqnr_column(),
            *((sqnr_column("there"), apart) if remote else ()),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


_REFERENCE = Worded(value=None, text="ref")


def _title(found: Evaluation) -> str:
    return f"{found.model} on {found.n} images of {found.data}"


def _is_reference(result: Result, found: Evaluation) -> bool:
    return f"{result.runtime}/{result.precision}" == found.reference


def _with_error(value: float | None, error: float | None) -> Cell:
    return None if value is None or error is None else WithError(value=value, error=error)
