"""Measures what takes turns on an open device: times, or instructions where it is emulated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgeshuffle.device import DeviceInfo
from edgeshuffle.runner.bench.against import refuse_incomparable
from edgeshuffle.runner.bench.cores import choose_cores
from edgeshuffle.runner.bench.events import MeasuredFile, Run
from edgeshuffle.runner.bench.instructions import count
from edgeshuffle.runner.bench.recording import Recording, begin
from edgeshuffle.runner.bench.run import load, measure

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.device import Device
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.bench.plan import Conditions, Subject
    from edgeshuffle.runner.bench.reading import Measured


def record(
    conditions: Conditions,
    subject: Subject,
    device: Device,
    folder: Path,
    progress: Progress,
    then: Measured | None = None,
) -> Recording:
    """What was measured, kept in a file of `folder` as it went on; `device` is steady by now.

    Raises ArtifactError where `then` is of other conditions or a model file was changed,
    UnknownNameError, MissingExtraError, RuntimeUnavailableError and DeviceError.
    """
    if conditions.cycles:
        device.prepare_cycles()
    described = device.describe()
    info = DeviceInfo.of(described)
    cores = (
        ()
        if info.emulated
        else choose_cores(conditions.cores, described.clusters, conditions.threads)
    )
    run = run_of(conditions, subject, info, cores)
    if then is not None:
        # Better told now than after minutes of measuring.
        refuse_incomparable(run, then)
    cases = subject.cases
    loaded = () if info.emulated else load(conditions, device, cases, progress, cores=cores)
    versions = tuple(one.runtime_version for one in loaded)
    with begin(folder, run, versions, fresh=conditions.fresh) as recording:
        if info.emulated:
            for counted in count(conditions, device, info, cases, progress):
                cases[counted.file].check()
                recording.keep(counted)
        else:
            # What is loaded by now is what the manifest says, and will not be read again.
            for case in cases:
                case.check()
            measure(conditions, loaded, recording, progress, has_power=described.pmic)
    for one in loaded:
        one.session.close()
    return recording


def run_of(
    conditions: Conditions, subject: Subject, info: DeviceInfo, cores: tuple[int, ...]
) -> Run:
    """The first line of the records."""
    return Run(
        kind="instructions" if info.emulated else "times",
        model=subject.model,
        manifest_sha256=subject.manifest_sha256,
        device=info,
        files=tuple(
            MeasuredFile(
                runtime=case.file.runtime,
                precision=case.file.precision,
                variant=case.variant,
                path=case.file.path,
                sha256=case.file.sha256,
                bytes=case.file.bytes,
                batch=case.file.batch,
            )
            for case in subject.cases
        ),
        threads=conditions.threads,
        cores=cores,
        mode=conditions.mode,
        minutes=conditions.minutes if conditions.mode == "sustained" else 0.0,
        seed=conditions.seed,
        profile=conditions.profile,
        started=datetime.now(UTC).isoformat(),
    )
