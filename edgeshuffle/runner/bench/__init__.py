"""Times an artifact's model files side by side on one device."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.errors import ArtifactError
from edgeshuffle.progress import silent
from edgeshuffle.runner.bench.against import refuse_incomparable
from edgeshuffle.runner.bench.cores import choose_cores
from edgeshuffle.runner.bench.events import MeasuredFile, Run
from edgeshuffle.runner.bench.instructions import count
from edgeshuffle.runner.bench.journal import writable_folder
from edgeshuffle.runner.bench.plan import BenchOptions, plan
from edgeshuffle.runner.bench.reading import measured_of, read_measured
from edgeshuffle.runner.bench.recording import begin
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
from edgeshuffle.runner.bench.run import load, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.bench.plan import Case

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
    cases = plan(options)
    then = None if options.against is None else read_measured(options.against)
    report = progress or silent
    with (
        open_device(options.device, report) as device,
        writable_folder(options.artifact) as folder,
    ):
        device.steady(options.wait)
        described = device.describe()
        info = DeviceInfo.of(described)
        cores = (
            ()
            if info.emulated
            else choose_cores(options.cores, described.clusters, options.threads)
        )
        run = _run(options, info, cases, cores)
        if then is not None:
            # Better told now than after minutes of measuring.
            refuse_incomparable(run, then)
        loaded = () if info.emulated else load(options, device, cases, report, cores=cores)
        versions = tuple(one.runtime_version for one in loaded)
        with begin(folder, run, versions, fresh=options.fresh) as recording:
            if info.emulated:
                for counted in count(options, device, info, cases, report):
                    options.artifact.check_files([cases[counted.file].file])
                    recording.keep(counted)
            else:
                # What is loaded by now is what the manifest says, and will not be read again.
                options.artifact.check_files(case.file for case in cases)
                measure(options, loaded, recording, report, has_power=described.pmic)
    path = recording.journal.path
    made = report_of(measured_of(recording.history), path, then, recording.notes)
    if recording.journal.problem is None:
        return made
    return replace(
        made,
        problem=ArtifactError(
            f"Cannot write all records to {path}: {recording.journal.problem}. What was measured "
            "is shown but not kept. Make room and measure again."
        ),
    )


def _run(
    options: BenchOptions, info: DeviceInfo, cases: Sequence[Case], cores: tuple[int, ...]
) -> Run:
    artifact = options.artifact
    return Run(
        kind="instructions" if info.emulated else "times",
        model=artifact.manifest.model,
        manifest_sha256=artifact.manifest_sha256,
        device=info,
        files=tuple(
            MeasuredFile(
                runtime=case.file.runtime,
                precision=case.file.precision,
                path=case.file.path,
                sha256=case.file.sha256,
                bytes=case.file.bytes,
                batch=case.file.batch,
            )
            for case in cases
        ),
        threads=options.threads,
        cores=cores,
        mode=options.mode,
        minutes=options.minutes if options.mode == "sustained" else 0.0,
        seed=options.seed,
        profile=options.profile,
        started=datetime.now(UTC).isoformat(),
    )
