"""A profile by kind of operator and layer by layer: as tables, plots and plain values."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.report.plot import Axis, Bar, Bars, BarSeries
from edgeshuffle.report.table import Column, ResultTable
from edgeshuffle.runner.profile.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.runner.profile import ProfileReport
    from edgeshuffle.runner.profile.results import Part, ProfiledFile

_COSTS: Final = {
    "ns": Column(key="ns", heading="ms", divisor=1e6, form=".3f"),
    "instructions": Column(key="instructions", heading="M instructions", divisor=1e6, form=".3f"),
}
_CYCLES: Final = Column(key="cycles", heading="M cycles (est.)", divisor=1e6, form=".3f")
_SHARE: Final = Column(key="share", heading="share", unit="%", form=".1f")
_MACS: Final = Column(key="macs", heading="M MACs", divisor=1e6, form=".3f")
_ACCESSES: Final = Column(key="accesses", heading="M accesses", divisor=1e6, form=".3f")
_INTENSITY: Final = Column(key="intensity", heading="MACs an access", form=".1f")

_ESTIMATES: Final = (
    "Cycles are an estimate by LLVM's model of the core, without caches (docs/cycles.md).",
)


def tables(report: ProfileReport, most: int | None = None) -> tuple[ResultTable, ...]:
    """Kinds and layers of each file, of these the `most` costly ones or all."""
    found = []
    for file in report.files:
        found += [_kinds(report, file), _layers(report, file, most)]
    return (*found, _words(report))


def plots(report: ProfileReport) -> tuple[Bars, ...]:
    """What kinds of operators cost in each file."""
    column = _COSTS[report.unit]
    costs = [{part.kind: part.cost for part in file.parts} for file in report.files]
    groups = tuple(kind for kind in KINDS if any(kind in own for own in costs))
    return (
        Bars(
            title=f"{report.device.cpu}: {column.heading} by kind of operator",
            value=Axis(name=column.heading),
            groups=groups,
            series=tuple(
                BarSeries(
                    name=file.name,
                    bars=tuple(
                        Bar(value=own[kind] / column.divisor) if kind in own else None
                        for kind in groups
                    ),
                )
                for file, own in zip(report.files, costs, strict=True)
            ),
        ),
    )


def data(report: ProfileReport) -> dict[str, Any]:
    """Everything, with costs in nanoseconds or instructions."""
    return {
        "device": {**dataclasses.asdict(report.device), "label": report.device.label},
        "kind": "times" if report.unit == "ns" else "instructions",
        "threads": report.threads,
        "files": [
            {
                "file": file.path,
                "runtime": file.runtime,
                "runtime_version": file.runtime_version,
                "precision": file.precision,
                "method": file.method,
                report.unit: file.whole,
                f"empty_{report.unit}": file.empty,
                "cycles": file.cycles,
                f"profiler_{report.unit}": file.overhead,
                "explained_percent": file.explained,
                "disturbed": file.disturbed,
                "kinds": _kinds(report, file).records(),
                "layers": _layers(report, file, None).records(),
            }
            for file in report.files
        ],
        "comparisons": [
            {
                "shuffled": one.stock.path,
                "dissolved": one.dissolved.path,
                f"shuffles_{report.unit}": one.stock.shuffling,
                "shuffles_percent": one.stock.share(one.stock.shuffling),
                "ratio": one.ratio,
            }
            for one in report.comparisons
        ],
    }


def _kinds(report: ProfileReport, file: ProfiledFile) -> ResultTable:
    column = _COSTS[report.unit]
    parts = file.parts
    estimated = file.cycles is not None
    cycles = (file.cycles,) if estimated else ()
    whole = ("whole", len(file.layers), *_sums(parts), file.whole, 100.0, *cycles)
    return ResultTable(
        key=f"{file.name} kinds",
        title=f"{file.name}: {Path(file.path).name}, {file.runtime} {file.runtime_version}",
        columns=(
            Column(key="kind", heading="kind", kind="text"),
            Column(key="layers", heading="layers"),
            _MACS,
            _ACCESSES,
            column,
            _SHARE,
            *((_CYCLES,) if estimated else ()),
        ),
        rows=(
            *(
                (
                    part.kind,
                    part.layers,
                    part.macs,
                    part.accesses,
                    part.cost,
                    file.share(part.cost),
                    *((part.cycles,) if estimated else ()),
                )
                for part in parts
            ),
            whole,
        ),
        rules=frozenset({len(parts) - 1}),
    )


def _sums(parts: Sequence[Part]) -> tuple[int, int]:
    return sum(part.macs for part in parts), sum(part.accesses for part in parts)


def _layers(report: ProfileReport, file: ProfiledFile, most: int | None) -> ResultTable:
    layers = list(file.layers)
    title = f"{file.name}: all layers"
    if most is not None and most < len(layers):
        costly = sorted(layers, key=lambda layer: -layer.cost)[:most]
        kept = {id(layer) for layer in costly}
        layers = [layer for layer in layers if id(layer) in kept]
        title = f"{file.name}: the {most} costliest of {len(file.layers)} layers"
    return ResultTable(
        key=f"{file.name} layers",
        title=title,
        columns=(
            Column(key="layer", heading="layer", kind="text"),
            Column(key="operator", heading="operator", kind="text"),
            Column(key="kind", heading="kind", kind="text", shown=most is None),
            _MACS,
            _ACCESSES,
            _INTENSITY,
            _COSTS[report.unit],
            _SHARE,
            *((_CYCLES,) if file.cycles is not None else ()),
        ),
        rows=tuple(
            (
                layer.name,
                layer.op,
                layer.kind,
                layer.macs,
                layer.accesses,
                layer.intensity,
                layer.cost,
                file.share(layer.cost),
                *((layer.cycles,) if file.cycles is not None else ()),
            )
            for layer in layers
        ),
    )


def _words(report: ProfileReport) -> ResultTable:
    """What was measured, and what it says of channel shuffles."""
    device = report.device
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    column = _COSTS[report.unit]
    return ResultTable(
        key="files",
        title=f"On {device.cpu} ({device.machine}), {threads}: {device.label}",
        columns=(
            Column(key="file", heading="file", kind="text"),
            column,
            Column(key="explained", heading="explained", unit="%", form=".1f"),
            Column(key="shuffles", heading="shuffles", unit="%", form=".1f"),
        ),
        rows=tuple(
            (file.name, file.whole, file.explained, file.share(file.shuffling))
            for file in report.files
        ),
        notes=(
            *(
                f"{Path(one.stock.path).name}: channel shuffles are "
                f"{one.stock.share(one.stock.shuffling):.1f} % of it; "
                f"{Path(one.dissolved.path).name}, which has none, takes {one.ratio:.3f} of its "
                f"{'time' if report.unit == 'ns' else 'instructions'}."
                for one in report.comparisons
            ),
            *(
                f"{file.name}: its operators explain {file.explained:.0f} % of it, so something "
                "else ran besides. Do not quote these times: measure again when the device is idle."
                for file in report.files
                if file.disturbed and report.unit == "ns"
            ),
            *_methods(report),
        ),
    )


def _methods(report: ProfileReport) -> tuple[str, ...]:
    methods = {file.method for file in report.files}
    whole = "Explained: what the operators and a run without any add up to, of the whole."
    if report.unit == "instructions":
        return (
            "An operator costs what the model up to it costs more than the model before it.",
            whole,
            "Instructions are no times: no caches, no clock.",
            *(_ESTIMATES if any(file.cycles is not None for file in report.files) else ()),
        )
    found = []
    if "profiler" in methods:
        taken = "; ".join(
            f"{file.overhead / 1e3:.1f} us each, {file.taken_off:.0f} % of the whole in all"
            for file in report.files
            if file.method == "profiler"
        )
        found.append(
            "ONNX Runtime: by its profiler; what operators take together beyond the whole was "
            f"taken off them evenly ({taken}). The more that is, the less short ones can be told."
        )
    if "differences" in methods:
        found.append(
            "LiteRT: an operator takes what the model up to it takes longer than the model before "
            "it; below 1 % of the whole, that is noise."
        )
    return (
        *found,
        whole,
        "Times are of the fastest of 5 rounds: `edgeshuffle bench` tells what to quote.",
    )
