"""Times an artifact's model files side by side on one device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgeshuffle.device import open_device
from edgeshuffle.progress import silent
from edgeshuffle.runner.bench.journal import records_folder, writable_folder
from edgeshuffle.runner.bench.plan import BenchOptions, plan
from edgeshuffle.runner.bench.protocol import record
from edgeshuffle.runner.bench.reading import measured_of, read_measured
from edgeshuffle.runner.bench.results import (
    BenchReport,
    CountedCase,
    InstructionReport,
    MeasuredCase,
    Ratio,
    TimeReport,
    replay,
    report_of,
)

if TYPE_CHECKING:
    from edgeshuffle.progress import Progress

__all__ = [
    "BenchOptions",
    "BenchReport",
    "CountedCase",
    "InstructionReport",
    "MeasuredCase",
    "Ratio",
    "TimeReport",
    "bench",
    "replay",
]


def bench(options: BenchOptions, progress: Progress | None = None) -> BenchReport:
    """Measure every model file and keep the records beside the artifact's folder.

    Every block is kept as soon as it was timed, so that a failure loses only what is open; where
    the disk is full, measuring goes on, and the report's `problem` says so. `progress` is called
    with a stage, and how much of how much is done.

    The report is a `TimeReport`; an emulated device is not timed: its instructions are counted, if
    it can count them, and that is an `InstructionReport`.

    Raises UnknownNameError (device, runtime), ArtifactError (no file for the runtimes, records
    that cannot be written or compared, a model file that was changed), MissingExtraError,
    RuntimeUnavailableError and DeviceError.
    """
    subject = plan(options)
    then = None if options.against is None else read_measured(options.against)
    report = progress or silent
    with (
        open_device(options.device, report) as device,
        writable_folder(records_folder(options.artifact)) as folder,
    ):
        device.steady(options.wait)
        recording = record(options, subject, device, folder, report, then)
    path = recording.journal.path
    made = report_of(measured_of(recording.history), path, then, recording.notes)
    return made if recording.problem is None else replace(made, problem=recording.problem)
