"""The paper's guidelines on a device of one's own: its tables, built and measured anew."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.errors import needs_extra
from edgeshuffle.progress import silent
from edgeshuffle.runner.bench.journal import writable_folder
from edgeshuffle.runner.bench.plan import Conditions
from edgeshuffle.runner.bench.protocol import record
from edgeshuffle.runner.bench.reading import measured_of
from edgeshuffle.runner.guidelines.paper import GUIDELINES
from edgeshuffle.runner.guidelines.results import GuidelinesReport, table_of

if TYPE_CHECKING:
    from edgeshuffle.artifact import Precision
    from edgeshuffle.errors import EdgeShuffleError
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.bench.plan import Subject
    from edgeshuffle.runner.guidelines.paper import GuidelineName, SizeName
    from edgeshuffle.runner.guidelines.results import TableResult


@dataclass(frozen=True, kw_only=True)
class GuidelinesOptions(Conditions):
    """Which tables to measure, and how; `seed` is of the weights, too.

    `only` () is all guidelines, `runtimes` () all runtimes. What was measured is kept in the folder
    `records`.
    """

    only: tuple[GuidelineName, ...] = ()
    sizes: tuple[SizeName, ...] = ("x1",)
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    runtimes: tuple[str, ...] = ()
    records: Path = field(default=Path("build") / "bench")


def guidelines(options: GuidelinesOptions, progress: Progress | None = None) -> GuidelinesReport:
    """Build the tables' networks and measure them as `bench` does: rows of a table take turns.

    Nothing but the records is left behind. An emulated device is not timed: its instructions are
    counted. Raises UnknownNameError (device, runtime), MissingExtraError, ArtifactError (records
    that cannot be written), RuntimeUnavailableError and DeviceError, also where a device can
    neither be timed nor counted.
    """
    report = progress or silent
    for name in options.runtimes:
        RUNTIMES.require(name)
    with (
        open_device(options.device, report) as device,
        writable_folder(options.records) as records,
        tempfile.TemporaryDirectory(prefix="edgeshuffle-") as folder,
    ):
        info = DeviceInfo.of(device.describe())
        info.must_measure()
        if options.cycles:
            device.prepare_cycles()
        with needs_extra("Building networks", "export"):
            subjects = _build(options, Path(folder), report)
        device.steady(options.wait)
        tables: list[TableResult] = []
        problems: list[EdgeShuffleError] = []
        notes: list[str] = []
        for index, (name, size, subject) in enumerate(subjects):
            numbered = _numbered(report, index, len(subjects))
            recording = record(options, subject, device, records, numbered)
            measured = measured_of(recording.history)
            tables.append(table_of(name, size, measured, recording.journal.path))
            notes += recording.notes
            if recording.problem is not None:
                problems.append(recording.problem)
    return GuidelinesReport(
        device=info,
        threads=options.threads,
        mode=options.mode,
        seed=options.seed,
        tables=tuple(tables),
        notes=tuple(notes),
        problem=problems[0] if problems else None,
    )


def _build(
    options: GuidelinesOptions, folder: Path, report: Progress
) -> list[tuple[GuidelineName, SizeName, Subject]]:
    """What is measured one after another: a table in one runtime and precision each."""
    from edgeshuffle.runner.guidelines.build import build_table

    wanted = [(name, size) for size in options.sizes for name in options.only or GUIDELINES]
    built = []
    for done, (name, size) in enumerate(wanted):
        report("build", done, len(wanted))
        subjects = build_table(
            name,
            size,
            precisions=options.precisions,
            runtimes=options.runtimes or tuple(RUNTIMES),
            folder=folder,
            seed=options.seed,
        )
        built += [(name, size, subject) for subject in subjects]
    return built


def _numbered(report: Progress, index: int, of: int) -> Progress:
    """Tells which one of so many is at work."""
    return lambda stage, done, total: report(f"{index + 1} of {of}: {stage}", done, total)
